"""From a PyTorch model to an ONNX file without its norms.

- check_export: Checks that an exported graph computes what the PyTorch module computes.
- export: The whole export: from a PyTorch model to an ONNX file without its norms, proven equal.
- forward: How a PyTorch module is called: its inputs in order, its outputs by name.
- model_spec: From a model spec to a PyTorch module: built, its norms chosen, its checkpoint loaded.
- quiet: Silences torch's exporters; exceptions and what the tracer froze are still told.
- torch_to_onnx: From a PyTorch module to an ONNX model in memory, by either of torch's exporters.
"""
