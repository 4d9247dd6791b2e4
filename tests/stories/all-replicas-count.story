# A dependent waits for every replica of what it needs.
next start db.1 held
apply db+(replicas 3); app <- db
explain app
release start db.1
statuses
