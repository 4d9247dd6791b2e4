# A task that the core never started is not touched, even when the engine lists it.
apply db
engine process starts 77
pass 10m
kill host
remove db
pass 10m
engines
