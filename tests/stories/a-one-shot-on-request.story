# A completed one-shot runs again when somebody asks or when what it runs changed, and not before.
apply migrate*; app <- migrate
exit migrate 0
start migrate
exit migrate 0
set migrate version 2
exit migrate 0
statuses
