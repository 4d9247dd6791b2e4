# A host that is killed while a task is being changed does not know what the task is: the next one has it changed to what is wanted by then.
apply db@docker(memory 64)
next update db held
set db memory 128
saved
kill host
set db memory 64
next update db lost
set db memory 128
kill host
saved
backend docker away no answer
set db memory 256
pass 3s
explain db
backend docker back
pass 5s
saved
