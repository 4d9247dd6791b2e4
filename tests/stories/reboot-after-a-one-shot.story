# A one-shot that ran through just before a reboot is completed, and one that the reboot cut off is run again.
apply done*@docker; cut*@docker
engine docker ends 2 0
engine docker ends 1 137
reboot
statuses
