# A replica that failed is forgotten when it is scaled away, and begins anew when it is scaled back.
apply web(replicas 2, attempts 0)
exit web.1 9
explain web
set web replicas 1
statuses
set web replicas 2
show web
