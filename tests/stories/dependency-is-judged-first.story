# A dependent waits until the checks of what it needs say healthy, and its explanation names whom it waits for.
check db fail refused
apply db+; app <- db; web <- app
explain web
check db pass
pass 30s
statuses
