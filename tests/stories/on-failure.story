# With the mode `on-failure` an end with success is the end.
apply worker(restart on-failure)
exit worker 3
pass 2s
exit worker 0
pass 1h
show worker
