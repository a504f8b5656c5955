"""ONNX Runtime, on the CPU and on CUDA.

- memory: What a run of ONNX Runtime holds, from its own profile.
- profile: Times of ONNX Runtime's nodes, from its own profile, with the ONNX nodes that they stand
  for.
- runtime: ONNX Runtime, on the CPU or on an NVIDIA GPU.
"""
