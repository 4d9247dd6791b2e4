# A task that ended while its backend was away is found to have ended when it is back.
apply db@docker
backend docker away connection refused
pass 10s
engine docker ends 1 137
explain db
backend docker back
pass 1s
explain db
pass 2s
