# A failed service keeps its required dependents waiting and its optional ones running, however long it takes.
next start db denied no grant for /data
apply db; hard <- db; soft <- db?
pass 1d
explain hard
statuses
