# A service that is ill is not restarted while its backend cannot say whether it runs.
apply db+@docker
backend docker away connection refused
pass 1s
check db fail refused
ask
ask
ask
pass 1m
explain db
backend docker back
pass 1m
