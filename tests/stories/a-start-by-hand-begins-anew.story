# A start by hand tries a failed service again at once.
next start db invalid no such image
apply db; app <- db
explain app
start db
statuses
