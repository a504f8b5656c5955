"""From a graph and options to an engine.

- builder: From an ONNX file to a plan, in either flavour.
- config: Puts options into a builder's configuration; each takes effect or is refused by name.
- from_graph: From a graph to an engine whose types are checked: the only way to one.
- io_formats: Memory layouts of an engine's inputs and outputs.
- options: What an engine is built with, spelled as trtexec spells it.
- progress: How far a build is, from TensorRT's own progress monitor.
"""
