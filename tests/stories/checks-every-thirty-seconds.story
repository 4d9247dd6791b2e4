# Checks are asked every 30 seconds, a tenth more or less, and the last hundred results are kept.
apply db+
pass 1h
show db
