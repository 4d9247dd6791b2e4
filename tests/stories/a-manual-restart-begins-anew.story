# A restart by hand resets the count of a failed service.
apply db(attempts 1)
exit db 1
pass 2s
exit db 1
show db
restart db
show db
exit db 1
