# An optional dependency that cannot start blocks nobody.
next start cache invalid no such image
apply app <- cache?; cache
explain cache
statuses
