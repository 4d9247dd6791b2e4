# The whole is ready when every critical service serves, whatever the others do.
check db fail refused
apply db+(critical yes); toy(restart never)
whole
check db pass
pass 30s
exit toy 1
whole
stop db
whole
