# A stop that was under way when the host was killed is carried on.
apply db; app <- db
next stop app held
stop db
kill host
statuses
