"""Takes norms out without folding them, for measuring.

- biases_gained_by_fold: No norm with the biases that a fold gains: what its engine is to be
  compared with.
- layernorm_operator: Writes Layer Normalization that a file spells out as ONNX's one operator for
  it.
- strip: Takes norms out without folding them: the same network, faster and wrong.
"""
