"""Puts ONNX's LayerNormalization in place of the operators in which a file writes it out.

A runtime that has a kernel for LayerNormalization need not find it in its parts. Who compares LN
with anything should compare with the kernel.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.norms.deviation import averaged_axes
from un_deploy.graph.analysis.norms.find_norms import find_layernorms
from un_deploy.graph.analysis.norms.norm import Norm
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.rewire import remove_unread, replace_value

OPSET = 17
"""The first that has the operator."""

OLDEST = 13
"""From here to 17 no operator changed its meaning; before, Softmax and others had another."""

_CORE = ["ReduceMean", "Sub", "ReduceMean", "Add", "Sqrt", "Div"]
"""The order in which PyTorch writes it, but for the square, a Pow or a Mul behind the Sub."""


def use_operator(model: ir.Model) -> int:
    """Replace every Layer Normalization that is spelled as PyTorch spells it, in place.

    An opset from 13 on is raised to 17.

    Args:
        model: any; one of an opset before 13 is left alone.

    Returns:
        how many were replaced; those over other axes than the last, and those of another
        spelling, stay.
    """
    opset = model.opset_imports.get("", 0)
    if opset < OLDEST:
        return 0
    shapes = Shapes(model)
    constants = Constants(model, shapes)
    replaced = sum(
        _replace(model.graph, norm, constants, shapes)
        for norm in find_layernorms(model.graph, constants, shapes)
    )
    if replaced:
        model.opset_imports[""] = max(OPSET, opset)
    return replaced


def _replace(graph: ir.Graph, norm: Norm, constants: Constants, shapes: Shapes) -> bool:
    core, tail = norm.nodes[:7], norm.nodes[7:]
    square = core[2].op_type if len(core) == 7 else ""
    spelled = [node.op_type for node in core if node.op_type != square]
    if spelled != _CORE or square not in ("Pow", "Mul"):
        return False
    x = core[0].inputs[0]
    shape = shapes.of(x) if x is not None else None
    if x is None or shape is None or not isinstance(shape[-1], int):
        return False
    if any(averaged_axes(core[k], constants) not in ((-1,), (len(shape) - 1,)) for k in (0, 3)):
        return False
    vectors = {"Mul": np.ones(shape[-1]), "Add": np.zeros(shape[-1])}
    if [node.op_type for node in tail] != list(vectors)[: len(tail)]:
        return False
    for node in tail:
        given = next(constants[v] for v in node.inputs if v is not None and v in constants)
        if given.size != shape[-1] or given.shape[-1] != shape[-1]:
            return False
        vectors[node.op_type] = given.reshape(-1)
    epsilon = next(v for v in core[4].inputs if v is not None and v in constants)
    dtype = constants.dtype(epsilon).numpy()
    affine = {"scale": vectors["Mul"].astype(dtype), "shift": vectors["Add"].astype(dtype)}
    _insert(graph, norm, x, affine, float(constants[epsilon].item()))
    return True


def _insert(
    graph: ir.Graph, norm: Norm, x: ir.Value, affine: dict[str, np.ndarray], epsilon: float
) -> None:
    y = norm.y
    weights = []
    for name, vector in affine.items():
        tensor = ir.Tensor(vector, name=f"{y.name}_{name}")
        value = ir.Value(name=tensor.name, const_value=tensor)
        graph.register_initializer(value)
        weights.append(value)
    node = ir.node(
        "LayerNormalization",
        [x, *weights],
        attributes={"axis": -1, "epsilon": epsilon},
        name=norm.nodes[-1].name,
    )
    graph.insert_after(norm.nodes[-1], node)
    made = node.outputs[0]
    made.name, made.type, made.shape = y.name, y.type, y.shape
    replace_value(graph, y, made)
    remove_unread(graph, [y])
