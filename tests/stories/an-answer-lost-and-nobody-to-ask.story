# While nobody can say whether an interrupted start is up, nothing is started in its place.
backend docker away connection refused
next start db interrupted timed out after 5m
apply db@docker
explain db
pass 10m
engines
backend docker back
pass 1m
statuses
