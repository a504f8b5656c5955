"""Folds scale and shift into the linear operators around them.

- absorb_into_norm: A norm that stays takes in what reaches it: T y' + d = A(S x' + c) is again an
  affine.
- cancel_layouts: Cancels the chains of layout operators that a removed norm leaves behind.
- edits: Edits as data, and the one place that applies them.
- find_sites: Finds the sites: runs of constant scale and shift that vary over some axis of a
  tensor.
- fold: Folds every norm it can out of a graph: round after round, until no solution lowers the
  cost.
- graph_facts: What rules and the search for sites may ask of a graph: shapes, constants, biases,
  readers.
- graph_view: What the solver sees of a graph: units joined by tensors, with their shapes and
  constants.
- original_tensors: Which original tensor each tensor of the folded graph stands for, and through
  what gauge.
- report: What a fold did, as data: for people through the command line, for programs as JSON.
- rewire: Lets readers read another tensor, and removes what nobody reads any more.
- site: A site: a scale and shift in the graph that might vanish; and what is nearly one.
- solve: The gauge solver: which norms can vanish, and what must change so that they may.
- rules/: One file per operator family; a file with a `RULE` in it is found by being here.
"""
