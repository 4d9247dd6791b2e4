# A storm of restarts has four starts under way at once, and a healthy neighbour keeps being checked.
apply calm+
fan 6 storm(attempts unlimited, waits-grow no)
next start storm0 held
next start storm1 held
next start storm2 held
exit storm0 1
exit storm1 1
exit storm2 1
exit storm3 1
exit storm4 1
pass 2s
apply late
pass 30s
explain storm0
show calm
