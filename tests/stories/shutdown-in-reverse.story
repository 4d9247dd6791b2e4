# A shutdown goes down in reverse order, with 30 s of grace each, and forgets no wish.
apply web <- app; app <- db cache?; db; cache
close
whole
saved
kill host
