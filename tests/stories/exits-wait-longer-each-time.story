# A service that ends is restarted after 2, 4 and 8 seconds, three times, and then it is failed with its reason.
apply db; app <- db
exit db 1
explain db
explain app
pass 2s
exit db 1
pass 4s
exit db SIGSEGV
pass 8s
exit db memory
explain db
explain app
pass 1h
