# A restart by hand resets the count in a row, and the totals stay.
apply db
exit db 1
pass 2s
exit db 1
pass 4s
show db
restart db
show db
