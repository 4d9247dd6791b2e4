# What cannot be freed is tried again and told once, and the service is not held up by it.
apply db
next destroy db failed device busy
next destroy db failed device busy
exit db 1
pass 2s
exit db 1
pass 1s
pass 10s
engines
