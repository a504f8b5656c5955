"""Models as they come: files, the kinds that users hold, what must be true of each.

- checks: What a model must be before the rewriter touches it; each refusal names the culprit.
- labels: Names an operator as the network's author would: by the module that it was exported
  from.
- model_file: ONNX files in and out: loaded with lazy weights and checked, saved whole or not at
  all.
- model_kinds: The kinds of model that users hold: each becomes an onnx-ir model of our own, and
  back.
- signature: What a graph takes: its inputs with their types and shapes, and whether arrays fit
  them.
- tensor_storage: Where a model's tensors are held: in memory, in a weights file, in another
  model's hands.
"""
