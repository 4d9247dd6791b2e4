# A service removed while it starts is stopped as soon as it is up, and nothing waits for it any more.
next start db held
apply db; app <- db?
remove db
statuses
release start db
saved
