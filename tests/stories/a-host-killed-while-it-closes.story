# A host that is killed while it goes down forgets no wish: the next one takes up what is left and starts the rest.
apply db; app <- db; web <- app
next stop app held
close
kill host
statuses
