# A stop at a backend that is away is tried until it is back, and the service is not called stopped before.
apply db@docker
backend docker away connection refused
stop db
explain db
pass 10s
statuses
backend docker back
pass 30s
statuses
