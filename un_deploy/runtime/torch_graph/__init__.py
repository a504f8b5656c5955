"""An ONNX graph as a torch.fx module, specialised to its input shapes: a runtime, and a way back.

The files beside `runtime.py` and `to_torch.py` import torch and are loaded by these two only.

- cuda_graph: A module captured as one CUDA graph: its kernels are launched together, from fixed
  memory.
- memory: Memory of one run, as torch's allocators see it.
- module: The nn.Module that holds an ONNX graph's weights and imports the graph for each input
  shape.
- precision: A copy of a float32 graph in half precision, only to be run and timed in torch.
- profile: Times of torch's calls, one by one, gathered by the ONNX node that they come from.
- recognize: Linear layers, GELU and attention, however an exporter spelled them, as one torch call
  each.
- record_calls: Records torch calls on tensors of known shape into a torch.fx graph.
- runtime: torch as a runtime: eager, captured as a CUDA graph, or compiled by inductor.
- specialise: Imports an ONNX graph for inputs of given shapes: whatever these determine is computed
  once.
- tensors: ONNX tensors and element types as torch's.
- tf32: Says whether torch may compute fp32 products on CUDA in TF32: a setting of the whole
  process.
- to_torch: A folded model back in PyTorch: an nn.Module whose weights take gradients.
- operators/: The operators that torch runs: one table, a file per family.
"""

from un_deploy.runtime.torch_graph.runtime import TorchRuntime
from un_deploy.runtime.torch_graph.to_torch import to_torch

__all__ = ["TorchRuntime", "to_torch"]
