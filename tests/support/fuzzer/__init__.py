"""Random graphs with norms in hostile surroundings, folded, proven, and judged by ONNX Runtime.

- drawing/: Draws one random graph of a seed.
- feeds: Inputs for a random graph: numbers, ids, conditions and turns, at several sizes.
- judge: ONNX Runtime says whether a fold computes what the original computes.
- passed: Through and into which operators each norm folded, told from what the fold changed.
- reasons: Every reason that a fold may give, read from its source, and those that a report tells.
- seen: What a fold did in a random graph: which norms went, why others stayed, what was around.
- trial: Folds one random graph, has the fold proven and judged, and tells what came of it.
- unreached: The reasons that no random graph comes to, each with why and with the test that holds
  it.
- widen: The same graph in a wider type; nothing of the package is asked.
"""
