# A run that lasted ten minutes begins a new count of restarts.
apply db
exit db 1
pass 2s
exit db 1
pass 4s
show db
pass 10m
show db
exit db 1
