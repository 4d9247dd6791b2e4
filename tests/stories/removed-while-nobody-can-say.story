# A service that is removed while its backend is away is taken down when the backend is back, over a host restart too.
apply db@docker
backend docker away connection refused
remove db
explain db
kill host
explain db
pass 10s
backend docker back
pass 1m
saved
engines
