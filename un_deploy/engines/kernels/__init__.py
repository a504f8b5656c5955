"""What kernels an engine runs, and whether they are of the precision that was asked for.

- check_types: The type check: refuses an engine with a kernel of another precision than was asked
  for.
- inspected: Reads an engine's kernels from what its builder said, or else from its inspector.
- kernels: The kernels that an engine will run, read from what the builder tells about its layers.
- layer_info: Reads and writes trtexec's ``--exportLayerInfo``: what the engine inspector tells of
  layers.
- products: The products of a graph that an engine has to compute, and what TensorRT calls their
  nodes.
- wanted_types: In which types the kernels of an engine must multiply, and what else its graph lets
  them read.
"""
