# A disabled service is kept and not run, over a host restart and a reboot, and whoever needs it waits and says so.
apply db(enabled no); app <- db
explain db
explain app
start db
kill host
reboot
pass 1h
saved
set db enabled yes
