"""Records torch calls on tensors of known shape into a torch.fx graph."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from un_deploy.errors import InputError

SOURCE, SOURCES = "onnx_node", "onnx_nodes"
"""Keys of metadata: which node of the ONNX graph a call comes from, and all that were traced."""


class Traced(fx.Proxy):
    """A tensor that depends on the graph's inputs: its shape and type are known, not its values."""

    @property
    def meta(self) -> Tensor:
        """A tensor of the same shape and type on the device "meta"."""
        return self.node.meta["val"]

    @property
    def shape(self) -> torch.Size:
        return self.meta.shape

    @property
    def ndim(self) -> int:
        return self.meta.ndim

    @property
    def dtype(self) -> torch.dtype:
        return self.meta.dtype


Value: TypeAlias = Tensor
"""A constant tensor, or a `Traced`, which takes torch's calls as a tensor does."""


class Trace(fx.Tracer):
    """One fx graph in the making.

    Every call recorded is made at once on meta tensors too, so that whatever follows finds
    concrete sizes. Constants that meet a traced value become attributes of the module to be.

    Attributes:
        source: the place in its graph of the ONNX node of which calls are recorded now.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = nn.Module()
        self.graph = fx.Graph(tracer_cls=fx.Tracer)
        self.attributes: dict[str, Tensor] = {}
        self._names: dict[int, str] = {}
        self.source: int | None = None
        self._sources: set[int] = set()

    def input(self, name: str, like: Tensor) -> Value:
        """Add a parameter of the module's forward."""
        node = self.graph.placeholder(identifier(name, "input"))
        node.meta["val"] = like.to("meta")
        return cast(Value, Traced(node, self))

    def constant(self, tensor: Tensor, name: str = "constant") -> Value:
        """The tensor as an attribute of the module, traced from here on."""
        return cast(Value, Traced(self._attribute(tensor, name), self))

    def module(self, outputs: tuple[Value, ...]) -> fx.GraphModule:
        """The module that computes a tuple of these outputs, without what nobody reads."""
        self.graph.output(self.create_arg(outputs))
        self.graph.eliminate_dead_code()
        module = fx.GraphModule(self.attributes, self.graph)
        module.meta[SOURCES] = self._sources
        return module

    def proxy(self, node: fx.Node) -> Traced:
        return Traced(node, self)

    def create_arg(self, a: Any) -> Any:
        return self._attribute(a, "constant") if isinstance(a, Tensor) else super().create_arg(a)

    def create_node(
        self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **more: Any
    ) -> fx.Node:
        node = super().create_node(kind, target, args, kwargs, *rest, **more)
        if self.source is not None:
            node.meta[SOURCE] = self.source
            self._sources.add(self.source)
        args, kwargs = map_arg((args, kwargs), lambda argument: argument.meta["val"])
        with torch.no_grad():
            if kind == "call_method":
                node.meta["val"] = getattr(args[0], target)(*args[1:], **kwargs)
            else:
                node.meta["val"] = target(*args, **kwargs)
        return node

    def _attribute(self, tensor: Tensor, name: str) -> fx.Node:
        if id(tensor) not in self._names:
            fresh = name = identifier(name, "constant")
            while fresh in self.attributes:
                fresh = f"{name}_{len(self.attributes)}"
            self._names[id(tensor)] = fresh
            self.attributes[fresh] = tensor
        node = self.graph.get_attr(self._names[id(tensor)])
        node.meta["val"] = tensor.detach().to("meta")
        return node


def identifier(name: str, default: str) -> str:
    """The name in the characters that Python allows."""
    text = "".join(c if c.isalnum() and c.isascii() else "_" for c in name).strip("_")
    return text if text.isidentifier() else f"{default}_{text}".rstrip("_")


def known(value: Value | None, what: str) -> Tensor:
    """A value that must be constant once the input shapes are fixed.

    Raises:
        InputError: it depends on the values of the graph's inputs.
    """
    if isinstance(value, Traced) or value is None:
        raise InputError(f"its {what} depends on what is in the inputs, not on their shapes alone")
    return value


def ints(value: Value | None, what: str) -> list[int]:
    """A constant vector of integers; see `known`."""
    return [int(number) for number in known(value, what).reshape(-1).tolist()]


def lift(value: Value, like: Value) -> Value:
    """The value traced, if the other one is."""
    if not isinstance(value, Traced) and isinstance(like, Traced):
        return cast(Trace, like.tracer).constant(value)
    return value
