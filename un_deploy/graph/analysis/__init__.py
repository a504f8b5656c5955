"""What is known of a graph without changing it: shapes, constants, types, norms.

- affine_map: Affine maps y = scale * x + shift over some axes of a tensor: compose, invert,
  reshape.
- bounded_context: onnx-shape-inference's context, which follows no size and no number that has
  grown too large.
- constants: The values of constant sub-expressions, in float64 where that changes nothing but the
  rounding.
- dims: The arithmetic of tensor dimensions: integers, symbolic expressions and the unknown.
- evaluation_order: In which order operators are computed, and when a result has been read for the
  last time.
- exact: Constants in float64, unrounded, whole or in parts that fit a processor's cache.
- floating: Floating types: which are computed with, which hold which, and arrays widened to
  float64.
- held_constant: The tensor that a file holds for a value, as it is stored.
- known_numbers: Small tensors whose numbers are all known, where onnx-shape-inference follows only
  rows of sizes.
- operator_types: What ONNX's schemas say of element types: which an operator takes, and which its
  results have.
- rounded_sizes: Sizes that come of rounding, which runtimes do in other ways: known where all ways
  agree.
- shape_rules: Infers shapes, operator by operator, where onnx-shape-inference leaves them open or
  guesses.
- shapes: Infers the shape of every tensor, once, on the side, and never guesses: the one authority
  on it.
- side_dims: Dimensions as onnx-shape-inference writes them, on the side model, and the algebra of
  them.
- evaluators/: Computes single operators from their inputs: a closed list, by ONNX's own words, in
  numpy.
- norms/: Norms that measure their input at run time: as one operator, or written out by an
  exporter.
"""
