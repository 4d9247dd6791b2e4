# A one-shot that fails is tried again, and whoever needs it keeps waiting and says why.
apply migrate*; app <- migrate
exit migrate 1
explain app
pass 2s
exit migrate 0
