# Of several checks the worst says how the service is, and all services together are as the worst of them.
apply db+(check deep, recovery no); app+
whole
check db/deep fail no rows
ask
whole
explain db
pass 2m
whole
explain db
