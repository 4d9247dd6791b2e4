# A stop that failed is tried again with longer waits, says so, and nothing is started before it worked.
apply db
next stop db failed a child did not end
next stop db failed a child did not end
restart db
explain db
pass 1s
explain db
pass 2s
statuses
