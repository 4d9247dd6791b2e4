# Ten thousand restarts leave no more behind than one.
apply db(attempts unlimited, waits-grow no)
repeat 10000: exit db 1 | pass 2s
saved
engines
