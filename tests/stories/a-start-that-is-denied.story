# A start that was denied is parked at once with its reason: trying again would not help.
next start db denied no grant for /usr/bin/postgres
apply db
explain db
