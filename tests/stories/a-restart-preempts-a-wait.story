# A restart by hand does not wait for the end of a backoff.
apply db
exit db 1
restart db
show db
