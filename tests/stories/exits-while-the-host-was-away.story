# Ends that happened while no host ran are found, with their exit.
apply db; job*; gone
engine process ends 1 3
engine process loses 2
engine process ends 3 0
kill host
explain db
explain gone
explain job
