# After a reboot everything wanted is started in its order, with new numbers, although the clock began anew.
apply db+; app <- db; off
stop off
pass 1d
reboot
saved
pass 1h
statuses
