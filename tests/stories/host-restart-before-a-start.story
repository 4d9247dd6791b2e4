# A start that was saved and never happened is made anew under a new number, and nobody is blamed.
next start db held
apply db
kill host
show db
saved
