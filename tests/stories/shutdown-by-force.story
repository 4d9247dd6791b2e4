# Whoever asks twice for a shutdown gets it without grace and without waiting.
apply app <- db; db
next stop app held
close
explain db
close force
whole
