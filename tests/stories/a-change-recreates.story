# A change of what runs recreates it, and takes along those that follow its restarts.
apply db; app <- db!; web <- db
set db version 2
