# A dependency cycle is refused with its path, and nothing is applied.
apply a <- c; b <- a; c <- b
statuses
apply a; b <- a
set a edges b
statuses
