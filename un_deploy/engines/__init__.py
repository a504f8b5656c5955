"""TensorRT engines: built, read and checked, in either flavour. Nothing here runs one.

- flavor: The two flavours, TensorRT and TensorRT-RTX: the module of each, and which is installed.
- graphsurgeon: Changes an onnx_graphsurgeon.Graph before a build: outputs, regions, types at the
  edges.
- log: The one logger that TensorRT is given; gathers what it says during a call.
- nvidia_json: Reads JSON as NVIDIA's tools write it.
- profiles: Optimisation profiles: which shapes an engine takes, and for which it is tuned.
- building/: From an ONNX file and options to an engine.
- kernels/: What kernels an engine runs, and whether they are of the precision that was asked for.
- plan/: The plan file and the manifest beside it: written, recognised, loaded.
"""
