"""Proves a fold: recomputes what it changed, and compares.

- operator_check: The second proof: every operator of the folded graph, recomputed alone from the
  saved weights.
"""
