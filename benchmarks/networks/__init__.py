"""Fifty networks that people have, through both exporters: what folds, what stays, and why.

- measure: One network through both exporters, static and dynamic: exported, folded, proven, run.
- page: The results as docs/networks.md.
- stays: The closed list of what may stay, with the reason of each.
"""
