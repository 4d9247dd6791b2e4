# A service that is alive and unhealthy is restarted after the threshold.
apply db+; app <- db
check db fail refused
pass 2m
check db pass
pass 1m
statuses
