# Failures in a row are counted on over a host restart.
apply db+(recovery no)
check db fail refused
ask
ask
kill host
show db
