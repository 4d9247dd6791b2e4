# A wait of another boot is over: its time says nothing in this one.
apply db(first-wait 1h, longest-wait 1h)
pass 1d
exit db 1
reboot
show db
