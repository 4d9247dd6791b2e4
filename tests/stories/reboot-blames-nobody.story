# A reboot is nobody's failure: what had used up its restarts starts again like everything else.
apply db(attempts 1); once(restart never); worker(restart on-failure); migrate*; box@docker
exit db 1
pass 2s
show db
engine docker ends 1 143
reboot
show db
show box
exit migrate 0
statuses
