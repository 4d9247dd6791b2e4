# A start asked for while it stops follows the stop, and nothing is asked twice.
apply db
next stop db held
stop db
start db
explain db
release stop db
