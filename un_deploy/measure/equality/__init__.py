"""Whether two graphs compute the same.

- inputs: The user's own inputs for a graph: an .npz file or a Python function.
- outputs: Compares the outputs of two graphs: in float64, and by a runtime where there is one.
- random_inputs: Random inputs that a graph accepts: token ids within their tables, masks with
  tokens left.
- verify: Proves that a folded graph computes what the original computes, operator by operator.
"""
