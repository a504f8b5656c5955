"""Gives the network without norms the biases that a fold gains, so that engines compare fairly."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.editor import Editor
from un_deploy.graph.fold.edits import AddBias
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.fold.rules.equation import Equation


def add_biases(model: ir.Model, outputs: Collection[str]) -> None:
    """Give the linear operators that write these outputs a bias of ones, in place.

    A fold report's `gained_biases` has the names. Zeros would not do: an engine drops them.

    Raises:
        InputError: a name is not the output of such an operator, or its channels are not known.
    """
    shapes = Shapes(model)
    constants = Constants(model, shapes)
    edits = []
    for name in outputs:
        node = next((n for n in model.graph if n.outputs[0].name == name), None)
        operator = operator_named(node.op_type if node is not None else "")
        if node is None or not operator.absorbs:
            raise InputError(f"{name} is not the output of an operator that can have a bias")
        weight = 1
        if operator.bias == "behind":
            weight = next((i for i, v in enumerate(node.inputs) if v in constants), 1)
            shape = _behind(node, weight, shapes)
        else:
            full = shapes.of(node.outputs[0])
            channels = full[operator.channels] if full else None
            shape = (channels,) if isinstance(channels, int) else None
        if shape is None:
            raise InputError(f"it is not known how many channels {name} has")
        edits.append(AddBias(node, operator, partial(np.ones, shape), shape, weight))
    Editor(model, constants, shapes).apply(edits)


def _behind(node: ir.Node, weight: int, shapes: Shapes) -> tuple[int, ...] | None:
    """The shape of a bias behind a product: the axes that its weight gives the result."""
    operands = [None if v is None else shapes.of(v) for v in node.inputs]
    if len(operands) != 2 or operands[0] is None or operands[1] is None:
        return None
    equation = Equation.of(node, (len(operands[0]), len(operands[1])))
    sizes = [size for size in operands[weight] or () if isinstance(size, int)]
    if equation is None or len(sizes) != len(operands[weight] or ()):
        return None
    return equation.bias_shape(weight, sizes)
