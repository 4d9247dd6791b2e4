# A warning is degraded, and never restarts.
apply db+
check db warn slow
pass 1h
explain db
