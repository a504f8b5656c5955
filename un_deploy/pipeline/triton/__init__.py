"""From a model to its entry in Triton's repository.

- batching: Whether Triton may put requests together into one batch, and how large it may be.
- branches: The shapes of a model's outputs where it has branches: what all of them agree on.
- config: config.pbtxt for Triton Inference Server: how a model is served, as Triton's own message.
- repository: From a model to its entry in a Triton Inference Server repository: the files and
  config.pbtxt.
- served_model: What a server has to know of a model: its tensors and files, from an ONNX file or a
  plan.
- served_plan: A TensorRT plan as a server needs to know it: its tensors and profiles, from its
  manifest.
- warm_up: Requests that Triton runs on a model before it serves it, so that no user waits for the
  first.
"""
