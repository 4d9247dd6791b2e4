# Removing services takes them down in order and leaves nothing behind.
apply db+; app <- db
exit app 1
pass 2s
remove db app
saved
engines
