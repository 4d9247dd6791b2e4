# A number asked for by hand outlives the host and the same file; another number in the file counts.
apply web+(at-least 1, at-most 4, replicas 2)
pass 1s
scale web 4
scale web 5
scale web 0
pass 1s
kill host
show web
apply web+(at-least 1, at-most 4, replicas 2)
statuses
set web replicas 3
stop web
scale web 1
statuses
start web
pass 1s
statuses
