# A quorum that can never be reached, or means nothing, is refused.
apply db(replicas 2); app <- db=3
apply db(replicas 2); app <- db=0
apply migrate*; app <- migrate=any
statuses
