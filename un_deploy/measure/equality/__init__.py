"""Whether two networks compute the same.

- fold_again: Folds a network anew, as another one was folded: the norms that are still in that one
  stay.
- graph_differences: Where two graphs that share the names of their tensors differ, operator by
  operator.
- inputs: The user's own inputs for a graph: an .npz file or a Python function.
- outputs: Signatures and arrays of two graphs: how they differ, in figures.
- own_error: The rounding error that a network has by itself, by which differences of another are
  judged.
- random_inputs: Random inputs that a graph accepts: token ids within their tables, masks with
  tokens left.
- random_operators: Operators that give other numbers each time, and the outputs that depend on
  them.
- record: Which files a verdict is about, so that one which was kept can be matched with files
  later.
- report: What a comparison of two networks found, as data: the verdict, and how it was reached.
- second_look: Whole outputs of two networks in one runtime, compared with each other.
- shared_tensors: Compares two networks that share the names of nearly all their tensors, tensor by
  tensor.
- sizes: Random inputs of several sizes on which a network runs: two or more of every dynamic axis.
- unreached: What a set of inputs does not reach: rows of tables, branches of If.
- verify: Says of two networks whether they compute the same: proven, seen to be equal, open, or not
  equal.
"""
