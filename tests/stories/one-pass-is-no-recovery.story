# One pass among failures is no recovery, and the passes are counted anew after a failure.
apply db+(recovery no)
check db fail refused
ask
ask
ask
check db pass
ask
check db fail refused
ask
check db pass
ask
show db
ask
