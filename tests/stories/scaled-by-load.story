# A load scales within the bounds, after the waits, by the greatest number that was asked for; what is not known scales nothing.
apply web(at-least 1, at-most 4, replicas 1, target 50)
load web 100
pass 30s
scaling web
load web 100
load web 100 100
pass 30s
load web -
load web 100 90
pass 100s
load web 5 5 5 5
scaling web
pass 200s
load web 50 60 40 50
load web 5 5 5 5
pass 299s
load web 5 5 5 5
pass 2s
load web 5 5 5 5
pass 1s
kill host
load web 100
scale web 2
load web 100 100
pass 30s
load web 100 100
stop web
load web 100 100 100 100
scaling web
