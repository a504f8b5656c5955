"""From a PyTorch model to an ONNX file without its norms.

- calling: How a module is called for an export: with the given inputs alone, and tensors alone come
  out.
- check_export: Checks that an exported graph computes what the PyTorch module computes.
- export: The whole export: from a PyTorch model to an ONNX file without its norms, proven equal.
- forward: What a PyTorch module says of its inputs, dimensions and outputs, and what it computes.
- hugging_face: The model of a Hugging Face folder, with example inputs that its configuration
  describes.
- model_spec: From a model spec to a PyTorch module: built, its norms chosen, its checkpoint loaded.
- norm_names: The names that --norm and --norms take; the table of what they name is
  models/norms.py.
- parts: One part of a model that runs in several: an encoder, the first step, a step with a cache.
- quiet: Silences torch's exporters; exceptions and what the tracer froze are still told.
- timm_model: timm:NAME, or timm:NAME,num_classes=10,...: a timm model without pretrained weights.
- torch_to_onnx: From a PyTorch module to an ONNX model in memory, by either of torch's exporters.
- torchscript_operators: Operators that the TorchScript exporter lacks (diff, rms_norm) or writes
  wrongly (cumsum of booleans).
- transformers_parts: The parts of a transformers model that generates text, each with flat caches
  by name.
"""
