# A reboot is remembered over a host restart, until somebody can say what became of each task.
apply db@docker(restart never)
engine docker ends 1 143
backend docker away the daemon starts
reboot
kill host
backend docker back
pass 5s
show db
kill host
exit db 1
