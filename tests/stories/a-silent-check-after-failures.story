# When a check cannot say any more, the explanation still names the failure that made it ill.
apply db+(recovery no, failures 1)
check db fail disk full
ask
check db unknown the plugin trapped
ask
explain db
