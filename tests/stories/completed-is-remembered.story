# A one-shot that is completed is not run again after a host restart or a reboot.
apply migrate*; app <- migrate
exit migrate 0
kill host
reboot
statuses
