# A check that fails now and then never reaches the threshold, and nothing is restarted.
apply db+
check db fail timeout
ask
ask
check db pass
ask
check db fail timeout
ask
ask
check db pass
ask
show db
