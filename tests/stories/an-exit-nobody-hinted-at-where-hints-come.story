# Where somebody hints at every end a lost hint costs one interval, and never a state.
apply db
hints process yes
pass 10m
exit-unseen db 1
pass 31s
