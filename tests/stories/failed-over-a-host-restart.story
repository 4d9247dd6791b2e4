# What failed stays failed over a host restart, with its reason, until somebody asks.
apply db(attempts 0)
exit db 9
kill host
pass 1d
explain db
start db
