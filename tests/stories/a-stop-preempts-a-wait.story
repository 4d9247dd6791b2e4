# A stop ends the wait before a restart, and nothing starts afterwards.
apply db
exit db 1
stop db
pass 1h
