# Services start layer by layer, each once what it needs is there.
apply web <- api; api <- cache db; cache; db
layers
next start slow held
apply slow; top <- slow web
explain top
release start slow
