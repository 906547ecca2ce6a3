"""How near images are to others, and how good a set of them is: as the field measures it."""
