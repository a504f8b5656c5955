"""Folds scale and shift into the linear operators around them.

- absorb_into_norm: A norm that cannot be removed absorbs the scale and shift of its neighbours.
- cancel_layouts: Removes the chains of Transposes and Reshapes that do nothing once a norm is gone.
- check_weights: What weights must be before anything is folded into them: numbers; refusals name
  the tensor.
- edits: The changes that a fold makes to a graph, as data.
- editor: The one place that applies them.
- find_sites: Finds the sites, the scales and shifts that a fold may remove, in every spelling that
  counts.
- fold: Folds every norm it can out of a graph: round after round, until no solution lowers the
  cost.
- graph_facts: What rules and the search for sites may ask of a graph: shapes, constants, biases,
  readers.
- graph_view: The graph as the solver sees it: units joined by tensors, with their shapes and
  constants.
- original_tensors: Which original tensors each tensor of the folded graph stands for, and through
  what gauge.
- quantised: What to do about norms that stay because the network was quantised before its fold.
- report: What a fold did, as data: for people through the command line, for programs as JSON.
- rewire: Lets readers read another tensor, and removes what nobody reads any more.
- site: A site, a scale and shift that a fold may remove; and a near miss, what only looks like one.
- sites/: What counts as a scale and shift, operator by operator, and what becomes of those that
  stay.
- solving/: Which norms can vanish, by gauges given to tensors on trial.
- rules/: One file per operator family; a file with a `RULE` in it is found by being here.
"""
