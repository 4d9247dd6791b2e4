# One or two failures in a row are degraded, three are unhealthy, and two passes are recovered.
apply db+(recovery no, interval 30s)
check db fail refused
ask
explain db
ask
explain db
ask
explain db
show db
check db pass
ask
ask
show db
