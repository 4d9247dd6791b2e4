# A host killed again right after a reboot starts nothing twice.
next start app held
apply db; app <- db
reboot
kill host
engines
saved
