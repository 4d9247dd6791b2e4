# An optional dependency whose backend is away blocks nobody.
backend docker away connection refused
apply cache@docker; app <- cache?
explain cache
backend docker back
pass 30s
statuses
