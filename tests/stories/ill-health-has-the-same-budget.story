# Restarts for ill health are counted like others, and end in failed.
apply db+(interval 5s)
check db fail refused
pass 10m
explain db
