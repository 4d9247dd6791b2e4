# When a dependency was restarted after a crash, those that asked for it are restarted after it.
apply db; app <- db!; web <- db
exit db 1
pass 2s
