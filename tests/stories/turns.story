# A service with many replicas lets the others have their first ones.
parallel 2
next start many held
next start many.1 held
apply many(replicas 5); other; after <- many=any
release start many
release start many.1
pass 1s
statuses
