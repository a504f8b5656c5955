"""From an ONNX file and options to an engine.

- builder: Builds a plan from an ONNX file, in either flavour.
- config: Puts the options into a builder's configuration; each takes effect or is refused by name.
- from_graph: From a graph to an engine whose types are checked: the only way to one.
- io_formats: Sets the memory layouts of an engine's inputs and outputs.
- options: The options that an engine is built with, spelled as trtexec spells them, and their
  parsers.
- progress: How far a build is, from TensorRT's own progress monitor.
- quantised_graph: What TensorRT takes of a quantised graph: the rest is refused by name before
  anything is built.
"""
