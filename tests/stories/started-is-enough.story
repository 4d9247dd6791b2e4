# With the condition `started`, a dependent does not wait for a verdict.
check db fail refused
apply db+; early <- db:started; late <- db:healthy
explain late
