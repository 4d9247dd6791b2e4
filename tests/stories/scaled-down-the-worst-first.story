# Scaling down takes the failed, then the unwell, then the newest; the others keep their index, and the lowest free one comes back first.
apply web(at-most 6, replicas 5, attempts 0)
exit web.1 1
exit web.0 1
start web
restart web
pass 1s
exit web.1 1
show web
scale web 3
show web
kill host
scale web 4
show web
