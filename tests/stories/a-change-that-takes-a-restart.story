# What a backend cannot change while a task runs is had by a restart, of that replica alone, and so is what differs in more.
apply db@docker(memory 64, replicas 2)
next update db.1 unsupported a limit is lifted
set db memory 128
set db version 2, memory 128
apply old@docker
set old memory 64
