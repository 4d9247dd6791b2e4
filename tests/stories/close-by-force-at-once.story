# A forced shutdown of a large set kills everything at once, in no order.
apply db
fan 5 app <- db
close force
whole
