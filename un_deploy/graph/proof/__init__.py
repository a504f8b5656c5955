"""Proves a fold by parts: what it did not touch, what it touched, and every constant.

- compare_region: Computes both sides of a region and compares them.
- draw: Numbers for the tensors that a region starts from.
- kept_constants: Every constant of a folded graph: the original's bit for bit, or one that the fold
  rewrote.
- proof: What a proof found: nothing wrong, or what is wrong and where.
- prove: Proves a fold by parts, without running the network.
- proven_claims: Which claims on the tensors of a folded graph are proven, found by either tensor.
- region: What is compared: a tensor of the folded graph, and the original's slice that it stands
  for.
- same_operator: Whether an operator of the folded graph is one of the original's, bodies included.
- same_signature: Whether two models are called alike: inputs, outputs, opsets, local functions.
- saved: The constants that a fold rewrote: what is saved against the exact value, in every entry.
- sizes: Numbers for the dimensions of a graph: how large the tensors of a region are drawn.
- slices: The part of a graph that computes one tensor from others, and its evaluation in float64.
- tables: The constants of a region: read whole, but of tables only the rows that are looked up.
- windows: Operators that slide a window over places: the number of places decides what it covers.
"""
