"""One file for each way in which an ONNX file may be odd, with a norm in it that folds.

- imports: Domains: imported, not imported, and imported without need.
- optimised: What ONNX Runtime's own optimiser writes.
- order: The order of operators and the names of things.
- tensors: What a file says, or does not say, of types and shapes.
- way: What an odd file is: a network with one norm that folds, changed in one way.
- weights: Where weights are, and in which form.
"""
