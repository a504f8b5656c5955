"""Proves a fold: recomputes what it changed, and compares.

- operator_check: The operator check, the second proof: recomputes every operator of a folded graph
  on its own.
"""
