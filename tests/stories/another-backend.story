# A service that moves to another backend is stopped at the old one before it starts at the new one.
apply db; app <- db
next stop db held
apply db@docker
explain db
release stop db
engines
