# A start whose answer was lost is looked for before anything else is started in its place.
next start db lost
apply db
show db
engines
