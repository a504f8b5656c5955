"""Random graphs with norms in hostile surroundings, folded, proven, and judged by ONNX Runtime.

- compose: Puts parts together: one behind the other, side by side, and joined by sums.
- draft: A graph while it is made: its operators, constants, inputs and outputs, and names nobody
  has.
- feeds: Inputs for a random graph: numbers, ids, conditions and turns, at several sizes.
- generate: Makes one random graph of a seed.
- judge: ONNX Runtime says whether a fold computes what the original computes.
- other_changes: Other changes of a draft: what holds its weights and who reads them, its inputs and
  outputs.
- parts: What graphs are made of: the examples of every rule, and blocks in which networks hold
  norms.
- seen: What a fold did in a random graph: which norms went, and what stood around them.
- spelling: Operators as an opset writes them: axes and sizes as attributes or as inputs.
- surround: Puts one of the surroundings behind a tensor of a draft, near a norm more often.
- surroundings: What stands around norms and is none of the fold's business.
- trial: Folds one random graph, has the fold proven and judged, and tells what came of it.
- widen: The same graph in a wider type; nothing of the package is asked.
"""
