# A stop that takes too long can be forced.
apply db(grace 10m)
next stop db held
stop db
force db
