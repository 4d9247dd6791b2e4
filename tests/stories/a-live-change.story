# A change that does not touch the task changes how it is watched, and restarts nothing.
apply db+(interval 30s)
set db interval 5s, grace 1m, attempts 9
pass 30s
show db
