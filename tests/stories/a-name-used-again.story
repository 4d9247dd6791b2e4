# A service that is removed and applied again at once waits for the old one to be gone, and starts anew.
apply db(grace 1m)
next stop db held
remove db
apply db
explain db
release stop db
show db
