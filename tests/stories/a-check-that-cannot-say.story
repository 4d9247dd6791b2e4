# A check that cannot say anything moves no counter.
apply db+
check db fail refused
ask
ask
check db unknown the plugin trapped
pass 1h
explain db
show db
