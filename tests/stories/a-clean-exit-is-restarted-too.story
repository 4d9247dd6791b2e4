# A service that ends with success is run again, because it is to run for ever.
apply db
exit db 0
pass 2s
