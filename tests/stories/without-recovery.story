# Without auto recovery an unhealthy service stays up, and its dependents too.
apply db+(recovery no); app <- db
check db fail refused
pass 10m
explain db
statuses
