"""A folded model back in PyTorch: an nn.Module whose weights take gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from un_deploy.arguments.check import checked
from un_deploy.errors import needs
from un_deploy.graph.model.model_kinds import to_ir

if TYPE_CHECKING:
    from un_deploy.runtime.torch_graph.module import OnnxModule


@checked
def to_torch(model: Any) -> OnnxModule:
    """Bring an ONNX model into PyTorch, to train it on or to run it there.

    Args:
        model: a path, an onnx.ModelProto, an onnx_ir.Model or an onnx_graphsurgeon.Graph; it
            stays as it is.

    Returns:
        A module called with one tensor for each graph input, by position or by name. It returns
        a tensor, or a dict by name where the graph has several outputs. Every floating
        initializer with at least one axis and finite values is a Parameter. The graph is
        imported anew for each combination of input shapes; the weights are shared.

    Raises:
        InputError: the model cannot be read, or has an operator that is not supported.
        MissingPackageError: torch is not installed.
    """
    graph, _ = to_ir(model)
    with needs("torch"):
        from un_deploy.runtime.torch_graph.module import OnnxModule
    return OnnxModule(graph)
