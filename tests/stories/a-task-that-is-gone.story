# A task that its backend knows nothing of is restarted, and counted as a failure.
apply db
engine process loses 1
pass 1s
explain db
pass 2s
show db
