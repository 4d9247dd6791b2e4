# A chain of ten thousand starts to its end, and goes down from its end.
chain 10000
close
