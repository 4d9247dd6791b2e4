# After a reboot a service waits until its backend can be asked what became of it.
apply db@docker
engine docker ends 1 143
backend docker away the daemon starts
reboot
explain db
pass 10s
backend docker back
pass 30s
statuses
