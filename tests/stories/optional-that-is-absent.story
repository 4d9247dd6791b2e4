# An optional dependency that was removed blocks nobody.
apply app <- cache?; cache
remove cache
restart app
statuses
