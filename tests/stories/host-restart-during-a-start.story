# A start that was under way when the host was killed is adopted when it worked.
next start db held
apply db
saved
engine process starts 1
kill host
show db
