# No more starts are under way at once than allowed, lowest layer first.
parallel 1
next start a held
apply a; b; c <- b
explain b
explain c
release start a
