# A service whose stop cannot be ended is never started a second time beside what is left of it.
apply db
next stop db failed a grandchild is alive
next stop db failed a grandchild is alive
restart db
kill host
engines
pass 1m
