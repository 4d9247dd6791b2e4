# Failures and restarts are counted and timed, and a life that lasts resets only the count in a row.
apply db
exit db 1
pass 2s
exit db SIGKILL
pass 4s
pass 10m
show db
saved
kill host
show db
