# A dependent waits until a one-shot has run to success, and the one-shot is not run again.
apply db; migrate* <- db; app <- migrate
explain app
exit migrate 0
show migrate
restart db
statuses
