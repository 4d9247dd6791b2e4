# A changed spec is a new chance for a failed service.
next start db invalid no such image
apply db
pass 1h
set db version 2
show db
