# Checks can be asked for now, beside their intervals, and one that is being asked is not asked twice.
apply db+; app+
next check db/ping held
ask db
ask
release check db/ping
