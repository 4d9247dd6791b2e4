# A start that was interrupted and left nothing is made anew, and what turns up later is destroyed.
next start db late 10s
apply db
explain db
pass 1m
engines
saved
