# A stop takes dependents down first, and each waits for those above it.
apply web <- app; app <- db; db; other
next stop web held
stop db
explain db
release stop web
statuses
start db
