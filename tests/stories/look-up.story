# A service is registered, looked up and removed, and one that nobody asked for is not found.
show db
apply db
show db
remove db
show db
apply db
show db
