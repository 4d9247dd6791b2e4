# A condition that can never hold is refused with what to write instead.
apply db; app <- db:healthy
apply db; app <- db:completed
