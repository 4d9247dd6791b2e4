# Disabling a running service stops it and those that need it.
apply db; app <- db; web <- db?
set db enabled no
explain app
