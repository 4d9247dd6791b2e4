# A service that depends on itself is refused.
apply a <- a
statuses
