# Services are listed by category, and are applications where nothing is said.
apply db(category infrastructure); model(category ai); watcher(category monitoring); web; queue(category infrastructure)
category infrastructure
category ai
category monitoring
category application
set queue category ai
remove web
category ai
category application
