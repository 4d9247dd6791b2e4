# What was stopped by hand stays stopped over a host restart and over a reboot.
apply db; app <- db
stop app
kill host
reboot
pass 1h
explain app
start app
