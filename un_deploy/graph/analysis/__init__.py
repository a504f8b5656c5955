"""What is known of a graph without changing it: shapes, constants, types, norms.

- affine_map: Affine maps y = scale * x + shift over some axes of a tensor: compose, invert,
  reshape.
- constants: The values of constant sub-expressions, in float64, evaluated when asked for.
- dims: The arithmetic of tensor dimensions: integers, symbolic expressions and the unknown.
- exact: Constants in float64, unrounded, whole or in parts that fit a processor's cache.
- layernorms: Finds Layer Normalization: as one operator, or as the chains in which exporters write
  it out.
- operator_types: What ONNX's schemas say of element types: which an operator takes, and which its
  results have.
- reference: Runs single operators and whole graphs in float64, through onnx's reference evaluator.
- reference_operators: Our versions of the operators that onnx's reference evaluator computes
  wrongly, or too slowly.
- shape_rules: Infers shapes, operator by operator, where onnx-shape-inference leaves them open or
  guesses.
- shapes: Infers the shape of every tensor, once, on the side, and never guesses: the one authority
  on it.
"""
