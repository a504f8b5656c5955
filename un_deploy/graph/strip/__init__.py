"""Takes norms out without folding them, for measuring: the answers change.

- biases_gained_by_fold: Gives the network without norms the biases that a fold gains, so that
  engines compare fairly.
- layernorm_operator: Puts ONNX's LayerNormalization in place of the operators in which a file
  writes it out.
- strip: Takes norms out without folding them, which changes answers.
"""
