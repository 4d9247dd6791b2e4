# A service whose backend is away waits for it, is not blamed, and starts when it is back.
backend docker away connection refused
apply db@docker; app <- db
explain app
pass 1m
show db
backend docker back
pass 30s
statuses
