# After a host restart nothing is started in a place whose backend cannot be asked what is there.
apply db@docker; app <- db
backend docker away no socket
kill host
pass 10m
explain db
whole
backend docker back
pass 30s
statuses
whole
