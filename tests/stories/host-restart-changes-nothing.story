# A host restart takes up what runs: no healthy service turns unhealthy, and nothing is started or stopped.
apply db+; app+ <- db!; web <- app
pass 1m
next check db/ping held
next check app/ping held
kill host
statuses
release check db/ping
release check app/ping
pass 1h
engines
