# Failures in the start period do not count until the first pass.
check db fail not yet
apply db+(start-period 10m)
pass 9m
explain db
check db pass
ask db
check db fail gone
pass 1m
