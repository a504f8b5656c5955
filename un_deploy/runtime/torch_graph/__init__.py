"""An ONNX graph as a torch.fx module, specialised to its input shapes: a runtime, and a way back.

The files beside `runtime.py` and `to_torch.py` import torch and are loaded by these two only.
"""

from un_deploy.runtime.torch_graph.runtime import TorchRuntime
from un_deploy.runtime.torch_graph.to_torch import to_torch

__all__ = ["TorchRuntime", "to_torch"]
