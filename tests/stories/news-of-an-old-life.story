# Late news of an old life says nothing of the new one.
apply db
restart db
engine process claims 1 137
show db
