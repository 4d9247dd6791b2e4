# A backend that is away holds no place: services of others start past it.
parallel 1
backend docker away connection refused
apply a@docker; b@docker; c; d <- c
pass 5s
explain b
statuses
