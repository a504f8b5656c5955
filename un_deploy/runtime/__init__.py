"""Runs a graph: one protocol, one room for each runtime.

- backends: The backends, by the names that users give them: one table, from which all lists are
  made.
- check_settings: Settings that a backend would ignore are refused by name; those that others make
  are told.
- choose_engine: Which backend runs TensorRT engines on this machine, and what a report calls it.
- how_it_ran: What a session's library told of its runs: warnings, and whether it ran as it was told
  to.
- in_double: Runs a network in float64: what its formula gives, all but free of rounding.
- layer_times: Times of a network's layers, told alike by every runtime that can tell them.
- loads: Whether the driver answers, and the runtimes that are installed load and reach the GPU.
- protocol: What the rest of the package asks of a runtime: load a graph, feed it, fetch any tensor.
- run_memory: What a run holds in memory, told by every runtime that can tell.
- session: A session of any runtime that opens a file and has ``run(names, feeds)``.
- settings: What runs a network, and how: one value, from the user to the runtime.
- torchvision: Why torchvision does not load: timm needs it, and transformers takes it where it is
  installed.
- what_is_measured: What a backend measures, for its reader: what its times span, and what it counts
  as memory.
- onnxruntime/: ONNX Runtime, on the CPU and on CUDA.
- tensorrt/: Runs TensorRT engines: plans, or engines built of a graph. Untested on hardware.
- torch_graph/: An ONNX graph as a torch.fx module, specialised to its input shapes: a runtime, and
  a way back.
- trtexec/: NVIDIA's trtexec as a subprocess: found, told how to time, run, and read by its JSON
  files.
"""
