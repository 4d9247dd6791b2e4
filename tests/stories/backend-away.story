# A backend that is away makes its services unknown, restarts nothing and counts nothing.
apply db+@docker; app <- db; other
pass 1m
backend docker away connection refused
check db unknown docker is away
pass 10m
explain db
show db
statuses
backend docker back
check db pass
pass 30s
show db
