# A service of which no replica is wanted is down, says so, and wakes for no apply.
apply web(at-least 0, at-most 2, replicas 1); app <- web
scale web 0
explain web
explain app
kill host
apply web(at-least 0, at-most 2, replicas 1); app <- web
explain web
scale web 2
statuses
