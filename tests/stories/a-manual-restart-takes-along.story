# A restart by hand of a failed dependency brings back those that waited for it.
apply db(attempts 0); app <- db
exit db 1
restart app
explain app
restart db
statuses
