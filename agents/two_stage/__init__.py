"""The two-stage agent: choose a slot, then a placement for it. Knows no problem."""
