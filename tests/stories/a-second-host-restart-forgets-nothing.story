# What may still turn up is remembered over a second host restart, and destroyed when it does.
next start db held
apply db
kill host
kill host
saved
engine process starts 1
pass 31s
engines
saved
