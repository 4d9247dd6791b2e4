# A restart of a dependency takes along those that asked for it, and nobody else.
apply db; app <- db!; web <- db
restart db
