"""Runs TensorRT engines: plans, or engines built of a graph. Untested on hardware.

- engine_runtime: An engine of a graph as a runtime: built for the shapes of the first inputs, in a
  precision.
- execution: Runs an engine once: shapes, buffers and the call, for feeds of one shape.
- machine: Whether this machine can run engines of a flavour of TensorRT through Python.
- plan_runtime: Runs plans in the TensorRT that built them. Untested on hardware.
- profiler: Times of an engine's layers, as TensorRT reports them, with the ONNX nodes that they
  compute.
"""
