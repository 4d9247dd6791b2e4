# A storm of restarts starts four at once, and a healthy service among them keeps being checked.
fan 20 storm(attempts unlimited, waits-grow no)
apply calm+
next start storm0 held
next start storm1 held
next start storm2 held
repeat 1: exit storm0 1 | exit storm1 1 | exit storm2 1 | exit storm3 1 | exit storm4 1
pass 2s
pass 30s
explain storm0
show calm
apply late
