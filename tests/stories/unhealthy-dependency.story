# A dependent that starts anew waits for what it needs to be healthy again, and one that runs stays up.
apply db+(recovery no); app <- db; web <- db
check db fail refused
ask
ask
ask
exit app 1
pass 2s
explain app
check db pass
ask
ask
statuses
