# A restart that was under way when the host was killed is carried on, and begins a new count.
apply db
next stop db held
restart db
engine process ends 1 SIGTERM
kill host
show db
