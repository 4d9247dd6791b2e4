# With the mode `never` an end is not followed by a restart.
apply worker(restart never)
exit worker 3
explain worker
start worker
exit worker 0
