# A cycle of optional edges is refused too, because they order starts.
apply a <- b?; b <- a?
