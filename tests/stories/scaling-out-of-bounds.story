# A count of replicas out of its bounds is refused, and nothing changes.
apply web(at-least 1, at-most 3, replicas 2)
set web replicas 0
set web at-most 1
statuses
