"""What kernels an engine runs, and whether they are of the precision that was asked for.

- check_types: Proves an engine's precision from its own kernels: never a silent fp32 engine.
- inspected: The kernels of an engine: from what its builder said, or else from its inspector.
- kernels: The kernels that an engine plans, read from what the builder tells about its layers.
- layer_info: trtexec's layer information (``--exportLayerInfo``): what the engine inspector
  tells, verbatim.
"""
