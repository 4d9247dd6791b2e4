# A stop asked for while it starts follows the start at once.
next start db held
apply db; app <- db
stop db
explain db
release start db
