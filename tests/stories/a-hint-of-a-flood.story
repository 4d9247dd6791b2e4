# Hints that come while a look is under way cost one more look, and no more.
apply db
next look process held
repeat 100: hint process
release look process
