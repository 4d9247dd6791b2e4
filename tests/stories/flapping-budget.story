# A service that flaps faster than its waits uses up its budget and is failed with its reason, and its neighbours are not disturbed.
apply db; other
repeat 3: exit db 1 | pass 10s
exit db 1
explain db
pass 1d
statuses
