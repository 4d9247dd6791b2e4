# Uptime is the share of the watched time, and time that nobody watched is unknown.
apply db+(recovery no)
pass 30m
check db fail refused
pass 10m
check db unknown the plugin is away
pass 2h
show db
