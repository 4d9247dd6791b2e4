# A service is asked to end with its own signal and grace.
apply db(signal INT, grace 2m)
stop db
