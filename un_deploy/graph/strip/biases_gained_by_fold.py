"""Gives the network without norms the biases that a fold gains, so that engines compare fairly."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.edits import AddBias, Editor
from un_deploy.graph.fold.rules import operator_named


def add_biases(model: ir.Model, outputs: Collection[str]) -> None:
    """Give the linear operators that write these outputs a bias of ones, in place.

    A fold report's `gained_biases` has the names. Zeros would not do: an engine drops them.

    Raises:
        InputError: a name is not the output of such an operator, or its channels are not known.
    """
    shapes = Shapes(model)
    edits = []
    for name in outputs:
        node = next((n for n in model.graph if n.outputs[0].name == name), None)
        operator = operator_named(node.op_type if node is not None else "")
        if node is None or not operator.absorbs:
            raise InputError(f"{name} is not the output of an operator that can have a bias")
        shape = shapes.of(node.outputs[0])
        channels = shape[operator.channels] if shape else None
        if not isinstance(channels, int):
            raise InputError(f"it is not known how many channels {name} has")
        edits.append(AddBias(node, operator, partial(np.ones, channels), channels))
    Editor(model, Constants(model, shapes), shapes).apply(edits)
