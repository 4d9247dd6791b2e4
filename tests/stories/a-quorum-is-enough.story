# A dependent waits for as many replicas as its edge says, and is told how many there are.
next start db held
next start db.1 held
next start db.2 held
apply db+(replicas 3); all <- db; two <- db=2; one <- db=any
explain one
release start db
pass 1s
explain all
explain two
statuses
release start db.1
pass 1s
statuses
explain all
release start db.2
pass 1s
statuses
