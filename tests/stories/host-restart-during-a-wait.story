# A wait before a restart goes on over a host restart.
apply db
exit db 1
pass 1s
kill host
explain db
pass 1s
