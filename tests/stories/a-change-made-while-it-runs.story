# What a backend can change while a task runs restarts nobody; it is asked again after a lost answer, and nothing else is done meanwhile.
apply db@docker(memory 64, replicas 2); app <- db!
set db memory 128
show db
next update db lost
set db memory 256
pass 2s
next update db held
set db memory 512
explain db
stop db
release update db
engines
