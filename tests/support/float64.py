"""Runs single operators and whole graphs in float64: the tests' judge of what the package makes.

onnx's reference evaluator computes, which the package itself does not use. Every floating tensor is
widened to float64 first, and a Cast to a floating type becomes a Cast to float64, so what is
computed is the graph's formula without its rounding. Five operators of onnx's are replaced:
BatchNormalization before opset 14 mixes the batch's own statistics into the stored ones, whether or
not it is in training; the later version does not. GlobalMaxPool is right for images only.
ConvTranspose walks over every pixel in Python, and mixes up the groups. Scaler rounds to float32,
and so does a cubic Resize, whose coefficient it has in that type. GroupNormalization is a function
of others there, which asks for types that are not stated.
Resize and Upsample before opset 11 it does not know: they are the later Resize in one of its ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_conv_transpose import ConvTranspose as OnnxConvTranspose
from onnx.reference.ops.op_resize import Resize as OnnxResize

from un_deploy.errors import InputError, first_line
from un_deploy.graph.analysis.floating import is_floating, stored, widen
from un_deploy.graph.model.labels import node_name

Array = np.ndarray

#: The first BatchNormalization that says whether it is in training; with one output, all older
#: ones mean what it means.
BATCH_NORMALIZATION = 14

#: The first Resize that says how places are found; before, there was one way.
RESIZE = 11


class GlobalMaxPool(OpRun):
    """The maximum over all axes behind the channels, which are kept with size 1."""

    def _run(self, x: np.ndarray) -> tuple[np.ndarray]:
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


class ConvTranspose(OnnxConvTranspose):
    """Adds what each entry of the kernel contributes, all pixels at once.

    Where padding is to be found from the output's size, onnx's own operator is asked.
    """

    def _run(  # type: ignore[override]  # onnx calls the inputs X, W and B
        self, x: np.ndarray, w: np.ndarray, b: Any = None, **given: Any
    ) -> tuple[np.ndarray]:
        rank = x.ndim - 2
        if given["output_shape"] is not None or given["auto_pad"] not in ("NOTSET", "VALID"):
            return super()._run(x, w, b, **given)
        groups, kernel = given["group"], w.shape[2:]
        strides = given["strides"] or [1] * rank
        dilations = given["dilations"] or [1] * rank
        longer = given["output_padding"] or [0] * rank
        pads = given["pads"] or [0] * 2 * rank
        reach = [s * (n - 1) + 1 for s, n in zip(strides, x.shape[2:], strict=True)]
        sizes = [
            r + d * (k - 1) + more
            for r, d, k, more in zip(reach, dilations, kernel, longer, strict=True)
        ]
        batch, channels = x.shape[0], w.shape[1] * groups
        columns = x.reshape(batch, groups, x.shape[1] // groups, -1)
        weight = w.reshape(groups, w.shape[0] // groups, w.shape[1], *kernel)
        y = np.zeros((batch, channels, *sizes), dtype=x.dtype)
        for offset in product(*map(range, kernel)):
            here = (slice(None),) * 3 + offset
            part = weight[here].swapaxes(1, 2) @ columns
            reached = [
                slice(d * o, d * o + r, s)
                for d, o, r, s in zip(dilations, offset, reach, strides, strict=True)
            ]
            pixels = (slice(None), slice(None), *reached)
            y[pixels] += part.reshape(batch, channels, *x.shape[2:])
        for axis, (begin, end) in enumerate(zip(pads[:rank], pads[rank:], strict=True), start=2):
            y = y.take(range(begin, y.shape[axis] - end), axis)
        return (y if b is None else y + b.reshape(-1, *[1] * rank),)


class Scaler(OpRun):
    """(x - offset) * scale."""

    op_domain = "ai.onnx.ml"

    def _run(  # type: ignore[override]  # onnx gives the attributes by name
        self, x: np.ndarray, offset: Any = None, scale: Any = None
    ) -> tuple[np.ndarray]:
        return ((x - np.asarray(offset)) * np.asarray(scale),)


class Resize(OnnxResize):
    """With a coefficient in float64."""

    def _run(self, *inputs: Any, cubic_coeff_a: float | None = None, **given: Any) -> Any:
        a = -0.75 if cubic_coeff_a is None else float(cubic_coeff_a)
        return super()._run(*inputs, cubic_coeff_a=a, **given)


class GroupNormalization(OpRun):
    """Since opset 21, with a scale and a shift for each channel."""

    def _run(  # type: ignore[override]  # onnx gives the attributes by name
        self,
        x: np.ndarray,
        scale: Any,
        bias: Any,
        num_groups: int = 1,
        epsilon: float = 1e-5,
        **_: Any,
    ) -> tuple[np.ndarray]:
        groups = x.reshape(x.shape[0], num_groups, -1)
        spread = np.sqrt(groups.var(-1, keepdims=True) + epsilon)
        normed = ((groups - groups.mean(-1, keepdims=True)) / spread).reshape(x.shape)
        column = (-1, *[1] * (x.ndim - 2))
        return (normed * scale.reshape(column) + bias.reshape(column),)


OPERATORS = [GlobalMaxPool, ConvTranspose, Scaler, Resize, GroupNormalization]


class Float64:
    """Evaluates nodes of one model in float64. Keeps one evaluator a node, so reruns are cheap."""

    def __init__(self, opset_imports: Mapping[str, int], ir_version: int) -> None:
        self._opsets = dict(opset_imports)
        self._ir_version = ir_version
        self._evaluators: dict[ir.Node, ReferenceEvaluator] = {}

    def node(
        self,
        node: ir.Node,
        inputs: Sequence[Array | None],
        outer: Callable[[ir.Value], Array] | None = None,
    ) -> list[Array]:
        """The node's outputs for these inputs (None where an optional input is absent).

        `outer` gives the tensors around it, which the branches of an If may read.

        Raises:
            InputError: the reference evaluator cannot run the operator.
        """
        if node.op_type == "If" and not node.domain and outer is not None:
            return self._branch(node, bool(np.all(inputs[0])), outer)
        feeds = {f"i{k}": array for k, array in enumerate(inputs) if array is not None}
        try:
            if node not in self._evaluators:  # building one fails for an operator it does not know
                self._evaluators[node] = self._build(node)
            with np.errstate(all="ignore"):
                return [widen(out) for out in self._evaluators[node].run(None, feeds)]
        except InputError:
            raise
        except Exception as error:
            shapes = " ".join("-" if a is None else str(a.shape) for a in inputs)
            raise InputError(
                f"node {node_name(node)!r} ({node.op_type}) cannot be run in float64: "
                f"{first_line(error)} "
                f"[inputs {shapes}]"
            ) from error

    def _branch(
        self, node: ir.Node, condition: bool, outer: Callable[[ir.Value], Array]
    ) -> list[Array]:
        graph = node.attributes["then_branch" if condition else "else_branch"].as_graph()
        values: dict[ir.Value, Array] = {}

        def value_of(value: ir.Value) -> Array:
            if value in values:
                return values[value]
            if value.graph is graph and value.is_initializer():
                return stored(value)
            return outer(value)

        for inner in graph:
            inputs = [None if v is None else value_of(v) for v in inner.inputs]
            values.update(zip(inner.outputs, self.node(inner, inputs, value_of), strict=False))
        return [value_of(value) for value in graph.outputs]

    def _build(self, node: ir.Node) -> ReferenceEvaluator:
        proto = ir.to_proto(node)
        del proto.input[:], proto.output[:]
        proto.input.extend("" if v is None else f"i{k}" for k, v in enumerate(node.inputs))
        proto.output.extend("" if not v.name else f"o{k}" for k, v in enumerate(node.outputs))
        for attribute in proto.attribute:
            if node.op_type == "Cast" and attribute.name == "to":
                if is_floating(ir.DataType(attribute.i)):
                    attribute.i = onnx.TensorProto.DOUBLE
            elif attribute.type == onnx.AttributeProto.GRAPH:
                raise InputError(
                    f"node {node.name!r} ({node.op_type}) has a body: it cannot be run alone"
                )
        scales = _as_later_resize(proto) if _is_old_resize(node, self._opsets) else []
        typed = onnx.helper.make_tensor_type_proto(onnx.TensorProto.UNDEFINED, None)
        graph = onnx.helper.make_graph(
            [proto],
            "one_node",
            [onnx.helper.make_value_info(name, typed) for name in proto.input if name],
            [onnx.helper.make_value_info(name, typed) for name in proto.output if name],
            scales,
        )
        opsets = dict(self._opsets)
        if node.op_type == "BatchNormalization" and not node.domain:
            opsets[""] = max(opsets[""], BATCH_NORMALIZATION)
        if proto.op_type == "Resize":
            opsets[""] = max(opsets[""], RESIZE)
        model = onnx.helper.make_model(
            graph,
            opset_imports=[onnx.helper.make_opsetid(d, v) for d, v in opsets.items()],
            ir_version=self._ir_version,
        )
        return ReferenceEvaluator(model, new_ops=OPERATORS)


def _is_old_resize(node: ir.Node, opsets: Mapping[str, int]) -> bool:
    return not node.domain and node.op_type in ("Resize", "Upsample") and opsets[""] < RESIZE


def _as_later_resize(proto: onnx.NodeProto) -> list[onnx.TensorProto]:
    """Make a Resize of opset 11 of an older one, or of an Upsample; gives its scales if stated."""
    held = [attribute.floats for attribute in proto.attribute if attribute.name == "scales"]
    stated = [onnx.numpy_helper.from_array(np.float32(one), "scales") for one in held]
    scales = "scales" if held else proto.input[1]
    kept = [attribute for attribute in proto.attribute if attribute.name == "mode"]
    first, outputs = proto.input[0], list(proto.output)
    ways = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    proto.CopyFrom(onnx.helper.make_node("Resize", [first, "", scales], outputs, **ways))
    proto.attribute.extend(kept)
    return stated


def run(
    model: ir.Model,
    feeds: Mapping[str, Array],
    constant: Callable[[ir.Value], Array],
    visit: Callable[[ir.Node, Mapping[ir.Value, Array]], None] | None = None,
) -> dict[str, Array]:
    """Run the main graph in float64.

    Args:
        model: the model; of control flow, only If can be run.
        feeds: an array for each graph input that is no initializer, by name.
        constant: the float64 value of an initializer.
        visit: called after each node with every value still alive, the node's own inputs and
            outputs among them. A value is dropped after its last reader.

    Returns:
        The graph outputs by name, float64 where floating.

    Raises:
        InputError: an input is missing, or an operator cannot be run.
    """
    graph = model.graph
    values: dict[ir.Value, Array] = {}
    for value in graph.inputs:
        if str(value.name) in feeds:
            values[value] = widen(feeds[str(value.name)])
        elif not value.is_initializer():
            raise InputError(f"no data for the graph input {value.name!r}")
    evaluate = Float64(model.opset_imports, model.ir_version or 10)
    last = _last_readers(graph)

    def value_of(value: ir.Value) -> Array:
        return values[value] if value in values else constant(value)

    for node in graph:
        inputs = [None if v is None else value_of(v) for v in node.inputs]
        outputs = evaluate.node(node, inputs, value_of)
        for value, array in zip(node.outputs, outputs, strict=False):
            values[value] = array
        if visit is not None:
            visit(node, values)
        for value in last.get(node, ()):
            values.pop(value, None)
    return {str(v.name): value_of(v) for v in graph.outputs}


def _last_readers(graph: ir.Graph) -> dict[ir.Node, list[ir.Value]]:
    last: dict[ir.Value, ir.Node] = {}
    for node in graph:
        for value in _read(node):
            last[value] = node
    drop: dict[ir.Node, list[ir.Value]] = {}
    for value, node in last.items():
        if not value.is_graph_output():
            drop.setdefault(node, []).append(value)
    return drop


def _read(node: ir.Node) -> Iterable[ir.Value]:
    """What must be there until the node has run; its bodies read tensors around them."""
    yield from node.outputs
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            body = attribute.as_graph()
            yield from body.outputs
            yield from (v for inner in body.all_nodes() for v in inner.inputs if v is not None)
