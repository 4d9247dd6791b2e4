# Without a limit the waits grow to their longest and stay there.
apply db(attempts unlimited)
exit db 1
pass 2s
exit db 1
pass 4s
exit db 1
pass 8s
exit db 1
pass 16s
exit db 1
pass 32s
exit db 1
pass 1m
exit db 1
