# Without its plugin a running service is unknown and goes on, and what is to start waits and says for what.
apply db@docker; app@docker(enabled no)
plugin docker gone the plugin docker was removed
explain db
set app enabled yes
explain app
stop db
explain db
pass 10s
statuses
plugin docker back
pass 1m
statuses
