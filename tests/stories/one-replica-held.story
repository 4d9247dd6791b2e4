# A replica that somebody stopped alone stays down, over a host restart too, until it is freed, dropped, or all are asked for.
apply web(at-least 1, at-most 4, replicas 3)
pass 1s
hold web.1
statuses
show web
exit web.2 1
pass 3s
kill host
show web
free web.1
hold web.0
drop web.0
show web
hold web.1
hold web.2
statuses
explain
scale web 3
