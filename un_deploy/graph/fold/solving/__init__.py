"""Gauges given to tensors: what they are, how far they are carried, which are too far from 1.

- assignment: The gauges given so far, and what of each site they leave.
- propagate: Carries gauges as far as they demand, and asks every unit whether it agrees.
- ranges: Which scales a tensor's type has room for; a channel that is all but 0 is dead.
"""
