# A verdict on an old life does not reach the new one.
apply db+
next check db/ping held
pass 34s
restart db
check db fail refused
release check db/ping
