# Scaling starts what is missing, and stops and frees what is surplus.
apply web(replicas 2)
set web replicas 4
exit web.3 1
set web replicas 1
statuses
engines
