# A plugin that comes back is asked at once, and what ended meanwhile is found.
apply db@docker; app@docker
plugin docker gone it was removed
engine docker ends 2 1
pass 1h
plugin docker back
pass 2s
statuses
