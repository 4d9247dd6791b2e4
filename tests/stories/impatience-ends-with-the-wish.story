# Who lost patience with one stop has patience with the next: a replica that still leaves takes no dependent's turn away.
apply db(at-most 3); app <- db=any
next stop db failed it will not die
stop db
next stop db failed it will not die
force db
scale db 2
start db app
pass 100ms
stop db
pass 10s
