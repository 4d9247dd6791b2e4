# A dependency that nobody knows is refused, with the name that was probably meant.
apply database; app <- databse
statuses
