"""TensorRT engines: built, read and checked, in either flavour. Nothing here runs one.

- flavor: The two flavours of TensorRT, which the rest of the room sees as one.
- graphsurgeon: Surgery for TensorRT on an onnx_graphsurgeon.Graph: outputs, regions, types at the
  edges.
- log: What TensorRT says while it works.
- nvidia_json: JSON as NVIDIA's tools write it.
- profiles: Optimisation profiles: which shapes an engine takes, and for which it is tuned.
- build/: From an ONNX file and options to an engine.
- kernels/: What kernels an engine runs, and whether they are of the precision that was asked for.
- plan/: The plan file and the manifest beside it: written, recognised, loaded.
"""
