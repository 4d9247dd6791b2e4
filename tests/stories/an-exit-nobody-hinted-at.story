# An end that nobody hinted at is found by the next look, a second later.
apply db
exit-unseen db 1
pass 500ms
pass 500ms
