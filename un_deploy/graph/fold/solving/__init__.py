"""Which norms can vanish, by gauges given to tensors on trial.

- absorbers: Which operators absorbed a norm.
- assignment: The gauges given so far, and what of each site they leave.
- both_directions: The better solution of both directions, and why a norm stays in either.
- propagate: Carries gauges as far as they demand, and asks every unit whether it agrees.
- ranges: Which scales a tensor's type has room for; a channel that is all but 0 is dead.
- seeds: Where a norm starts to go: before it, behind it, or its shift before and its scale behind.
- small_numbers: Whether a weight in a half type would become so small that it loses digits.
- solve: The gauge solver: which norms can vanish, and what must change so that they may.
"""
