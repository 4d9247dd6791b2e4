# A start that fails counts like an end, and is tried again.
next start db failed port 5432 is taken
apply db
explain db
pass 2s
show db
