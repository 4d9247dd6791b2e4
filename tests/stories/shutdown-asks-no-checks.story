# Once a service goes down its checks are asked no more.
apply db+(grace 1m)
next stop db held
stop db
pass 5m
release stop db
pass 5m
