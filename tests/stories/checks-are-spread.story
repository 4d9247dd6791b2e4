# Checks of services that started together drift apart by themselves.
fan 4 app+
pass 31s
show app0
show app1
show app2
