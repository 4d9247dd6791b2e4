# Waits are spread by a quarter, so that a crowd does not come back at once.
fan 5 app(jitter 250)
exit app0 1
exit app1 1
exit app2 1
exit app3 1
exit app4 1
