"""The nn.Module that holds an ONNX graph's weights and imports the graph for each input shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir
from torch import Tensor, fx, nn

from un_deploy.arguments.check import shown
from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import input_specs
from un_deploy.runtime.torch_graph.record_calls import identifier
from un_deploy.runtime.torch_graph.specialise import check_operators, specialise
from un_deploy.runtime.torch_graph.tensors import initializers


class OnnxModule(nn.Module):
    """See `un_deploy.runtime.torch_graph.to_torch.to_torch`.

    It keeps the model, which must not be changed any more. `names` has the name of each parameter
    or buffer by that of its initializer.
    """

    def __init__(self, model: ir.Model) -> None:
        super().__init__()
        check_operators(model)
        self._model = model
        self._input_names = [spec.name for spec in input_specs(model)]
        self._specialised: dict[object, fx.GraphModule] = {}
        self.names: dict[str, str] = {}
        for name, tensor in initializers(model).items():
            plain = attribute = identifier(name, "weight")
            while hasattr(self, attribute):
                attribute = f"{plain}_{len(self.names)}"
            self.names[name] = attribute
            if _is_weight(tensor):
                self.register_parameter(attribute, nn.Parameter(tensor))
            else:
                self.register_buffer(attribute, tensor)

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor | dict[str, Tensor]:
        """Run the graph.

        Raises:
            InputError: the inputs are not the graph's, or do not fit it.
        """
        inputs = dict(zip(self._input_names, args, strict=False)) | kwargs
        if len(args) + len(kwargs) != len(inputs) or set(inputs) != set(self._input_names):
            wanted = ", ".join(self._input_names)
            raise InputError(f"the graph takes the inputs {wanted}, each once")
        for name, value in inputs.items():
            if not isinstance(value, Tensor):
                raise InputError(f"the input {name} must be a tensor, not {shown(value)}")
        module = self.specialised(inputs)
        outputs = module(*(inputs[name] for name in self._input_names))
        if len(outputs) == 1:
            return outputs[0]
        names = (value.name or "" for value in self._model.graph.outputs)
        return dict(zip(names, outputs, strict=True))

    def specialised(self, inputs: dict[str, Tensor]) -> fx.GraphModule:
        """The graph for inputs of these shapes, types and device; it shares this module's weights.

        It takes tensors in the graph's order and returns a tuple.
        """
        ordered = {name: inputs[name] for name in self._input_names}
        key = tuple((x.shape, x.dtype, x.device) for x in ordered.values())
        if key not in self._specialised:
            weights = {name: getattr(self, own) for name, own in self.names.items()}
            with next(iter(ordered.values())).device:
                self._specialised[key] = specialise(self._model, weights, ordered)
        return self._specialised[key]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Called by `to`, `half` and their like: constants already imported are out of date."""
        self._specialised.clear()
        return super()._apply(fn, recurse)


def _is_weight(tensor: Tensor) -> bool:
    """Not a scalar such as eps, nor a mask of infinities."""
    return tensor.is_floating_point() and tensor.ndim > 0 and bool(tensor.isfinite().all())
