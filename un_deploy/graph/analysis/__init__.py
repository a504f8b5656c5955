"""What is known of a graph without changing it: shapes, constants, types, norms.

- affine_map: Affine maps y = scale * x + shift over some axes of a tensor: the only values the
  solver moves.
- constants: The values of constant sub-expressions, in float64, evaluated when asked for.
- dims: The arithmetic of tensor dimensions: integers, symbolic expressions and the unknown.
- layernorms: Finds Layer Normalization: the operator, and the chains in which exporters write it
  out.
- operator_types: What ONNX's schemas say of element types: which an operator takes, and which its
  results have.
- reference: Runs single operators and whole graphs in float64, through onnx's reference
  evaluator.
- reference_operators: Operators that onnx's reference evaluator computes wrongly, or too slowly
  for a network.
- shape_rules: What onnx-shape-inference leaves open or guesses, put right operator by operator.
- shapes: The one authority on shapes: infers every value's shape once, on the side, and never
  guesses.
"""
