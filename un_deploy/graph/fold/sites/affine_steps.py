"""Single operators that are affine: y = scale * x + shift with constants, in every spelling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, align, without_repeats
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.dims import Shape, same_dim, same_shape
from un_deploy.graph.analysis.evaluators.normalization import EPSILON, SCALER
from un_deploy.graph.analysis.floating import is_floating
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.sites.repeated import constant_behind, is_broadcast


@dataclass(frozen=True, eq=False)
class Step:
    """Operators that together are one affine, from x to y, shapes alike.

    Attributes:
        nodes: one operator, or all those between x and the sum in which its branches meet.
        x, y: the tensors before and after.
        affine: what they compute, aligned to x's rank.
        is_one_channel: they are scalar since x has one channel, as their constants' shapes say.
    """

    nodes: tuple[ir.Node, ...]
    x: ir.Value
    y: ir.Value
    affine: Affine
    is_one_channel: bool = False


def step_of(node: ir.Node, facts: GraphFacts) -> Step | str | None:
    """The node as an affine of its one computed input; a reason if it nearly is; else None."""
    if _is_scaler(node):
        return _scaler(node, facts)
    if node.domain or len(node.outputs) == 0:
        return None
    if node.op_type == "BatchNormalization":
        return _batch_normalization(node, facts)
    if node.op_type == "Sum":
        return _sum(node, facts)
    if node.op_type not in ("Mul", "Div", "Add", "Sub", "Neg"):
        return None
    if node.op_type == "Neg":
        operand, x, reversed_ = None, node.inputs[0], False
    else:
        held = [i for i, v in enumerate(node.inputs) if v in facts.constants]
        if not held:
            held = [
                i
                for i, v in enumerate(node.inputs)
                if constant_behind(v, facts.constants) is not None
            ]
        if len(held) != 1 or (node.op_type == "Div" and held == [0]):
            return None if held else overridable(node, facts)
        operand, x, reversed_ = node.inputs[held[0]], node.inputs[1 - held[0]], held == [0]
    if x is None or x in facts.constants:
        return None
    source = constant_behind(operand, facts.constants)
    constant = None
    if source is not None:
        if not is_floating(facts.constants.dtype(source)):
            return None
        constant = facts.constants[source]
        assert operand is not None
        if operand is not source and not is_broadcast(constant.shape, facts.shape(operand)):
            return None  # a Tile repeats it along an axis on which it varies
    shape_x, y = facts.shape(x), node.outputs[0]
    if shape_x is None or not _keeps_shape(operand, shape_x, y, facts):
        if constant is None or constant.size == 1 or node.op_type not in ("Mul", "Div"):
            return None
        if _widens(operand, shape_x, facts):
            return None  # an outer product
        return (
            f"the shape of {x.name!r} is not known to be that of {y.name!r}, so the constant "
            f"of shape {constant.shape} might widen it; give the file's inputs fixed sizes"
        )
    affine = _elementwise(node.op_type, constant, reversed_, len(shape_x))
    if not (np.all(np.isfinite(affine.scale)) and np.all(np.isfinite(affine.shift))):
        return f"its constant {operand.name if operand is not None else ''!r} is not finite"
    return Step((node,), x, y, affine, _is_one_channel(constant, shape_x))


def _is_one_channel(constant: np.ndarray | None, shape_x: Shape) -> bool:
    """Whether a constant of one entry is one a channel, last or, with axes behind it, second."""
    if constant is None or constant.size != 1 or constant.ndim == 0 or len(shape_x) < 2:
        return False
    return shape_x[-1 if constant.ndim == 1 else 1] == 1


def channels_of(node: ir.Node, facts: GraphFacts) -> int | None:
    """The channels of a norm that cannot be taken for an affine; None of what may be no norm.

    They are 0 where they are unknown.
    """
    if _is_scaler(node):
        return len(node.attributes.get_floats("scale", ()))
    is_norm = node.op_type == "BatchNormalization"
    if not is_norm and node.op_type not in ("Mul", "Div"):
        return None
    for value in node.inputs[1:2] if is_norm else node.inputs:
        shape = facts.shape(value) if value is not None and _is_parameter(value, facts) else None
        varying = [size for size in shape or () if size != 1]
        if len(varying) == 1 and isinstance(varying[0], int):
            return varying[0]
    return 0 if is_norm else None


def _is_scaler(node: ir.Node) -> bool:
    """(x - offset) * scale, as converters of scikit-learn's pipelines write it."""
    return node.domain == "ai.onnx.ml" and node.op_type == "Scaler"


def _is_parameter(value: ir.Value, facts: GraphFacts) -> bool:
    return value in facts.constants or value in facts.overridable


def read_by(node: ir.Node, constants: Constants) -> ir.Value:
    """The tensor that an affine operator is an affine of, at the moment."""
    computed = [v for v in node.inputs if v is not None and v not in constants]
    return next((v for v in computed if constant_behind(v, constants) is None), computed[0])


def _keeps_shape(operand: ir.Value | None, shape_x: Shape, y: ir.Value, facts: GraphFacts) -> bool:
    """Whether y has x's shape: the operand is 1 along each axis, or as large as x."""
    own = () if operand is None else facts.shape(operand)
    return is_broadcast(own, shape_x) or same_shape(shape_x, facts.shape(y))


def _widens(operand: ir.Value | None, shape_x: Shape | None, facts: GraphFacts) -> bool:
    """Whether it is known to make x larger."""
    own = None if operand is None else facts.shape(operand)
    if own is None or shape_x is None:
        return False
    pairs = zip(own[::-1], shape_x[::-1], strict=False)
    return len(own) > len(shape_x) or any(
        dim == 1 and isinstance(size, int) and size > 1 for size, dim in pairs
    )


def _elementwise(op: str, constant: np.ndarray | None, reversed_: bool, rank: int) -> Affine:
    one, zero = np.ones((1,) * rank), np.zeros((1,) * rank)
    if constant is None:
        return Affine(-one, zero)
    k = without_repeats(align(constant, rank))
    if op == "Mul":
        return Affine(k, zero)
    if op == "Div":
        with np.errstate(divide="ignore"):
            return Affine(1.0 / k, zero)
    if op == "Add":
        return Affine(one, k)
    return Affine(-one, k) if reversed_ else Affine(one, -k)


def _sum(node: ir.Node, facts: GraphFacts) -> Step | None:
    """The sum of one computed tensor and constants."""
    constants = [v for v in node.inputs if v is not None and v in facts.constants]
    computed = [v for v in node.inputs if v not in facts.constants]
    if not constants or len(computed) != 1 or computed[0] is None:
        return None
    x, y = computed[0], node.outputs[0]
    shape = facts.shape(x)
    if shape is None or not is_floating(facts.constants.dtype(constants[0])):
        return None
    if not all(_keeps_shape(v, shape, y, facts) for v in constants):
        return None
    shift = sum(align(facts.constants[v], len(shape)) for v in constants)
    affine = Affine(np.ones((1,) * len(shape)), np.asarray(shift))
    return Step((node,), x, y, affine) if np.all(np.isfinite(affine.shift)) else None


def _batch_normalization(node: ir.Node, facts: GraphFacts) -> Step | str | None:
    """Scale gamma / sqrt(var + eps), shift beta - mean * scale, on axis 1 (ONNX, inference)."""
    x, y = node.inputs[0], node.outputs[0]
    # Up to opset 13 nothing but its further outputs tells that it is in training.
    further = any(value.name for value in node.outputs[1:])
    if node.attributes.get_int("training_mode", 0) != 0 or further:
        return "it is in training mode; export the network in eval mode"
    if x in facts.constants:
        return None
    if x is None or any(v not in facts.constants for v in node.inputs[1:5]):
        return overridable(node, facts) or "its parameters are not constant"
    shape = facts.shape(x)
    if shape is None or len(shape) < 2:
        return f"the channels of {x.name!r} are unknown"
    gamma, beta, mean, var = (facts.constants[v] for v in node.inputs[1:5] if v is not None)
    if any(array.shape != (gamma.size,) for array in (gamma, beta, mean, var)):
        return "its parameters are not one number for each channel"
    # An attribute is float32, and so is what runtimes add.
    epsilon = float(np.float32(node.attributes.get_float("epsilon", EPSILON)))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = gamma / np.sqrt(var + epsilon)
    channel = (1, -1) + (1,) * (len(shape) - 2)
    affine = Affine(scale.reshape(channel), (beta - mean * scale).reshape(channel))
    if not (np.all(np.isfinite(affine.scale)) and np.all(np.isfinite(affine.shift))):
        return "its parameters are not finite"
    if not same_dim(shape[1], scale.size):
        return f"{x.name!r} is not known to have {scale.size} channels"
    return Step((node,), x, y, affine, scale.size == 1)


def _scaler(node: ir.Node, facts: GraphFacts) -> Step | str | None:
    """(x - offset) * scale along the last axis of a row or rows; its result is float32."""
    x, y = node.inputs[0], node.outputs[0]
    if x is None or x in facts.constants:
        return None
    dtype, shape = facts.dtype(x), facts.shape(x)
    if dtype != ir.DataType.FLOAT:
        read = "a type that is unknown" if dtype is None else dtype.name.lower()
        return f"it reads {read} and makes float32, which no other operator beside it would do"
    if shape is None or len(shape) not in (1, 2):
        return f"the features of {x.name!r} are unknown"
    offset, scale = (
        np.array(node.attributes.get_floats(name, ()), np.float32).astype(np.float64)
        for name in SCALER
    )
    if not all(array.size == 1 or same_dim(shape[-1], array.size) for array in (offset, scale)):
        return f"{x.name!r} is not known to have {scale.size} features"
    affine = Affine(align(scale, len(shape)), align(-offset * scale, len(shape)))
    if not (np.all(np.isfinite(affine.scale)) and np.all(np.isfinite(affine.shift))):
        return "its parameters are not finite"
    return Step((node,), x, y, affine)


def overridable(node: ir.Node, facts: GraphFacts) -> str | None:
    """What keeps its parameters from being constant, where that is the caller who may give others.

    They may stand behind operators, as a transposed or reshaped parameter does.
    """
    for value in node.inputs:
        given = facts.overridable.get(value) if value is not None else None
        if given is not None:
            return (
                f"its constant {given.name!r} is a graph input, which the caller may override; "
                f"leave it out of the graph's inputs, as "
                f"keep_initializers_as_inputs=False does at export"
            )
    return None
