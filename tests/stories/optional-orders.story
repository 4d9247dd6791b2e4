# An optional dependency orders the starts when both are wanted.
next start cache held
apply app <- cache?; cache
explain app
release start cache
