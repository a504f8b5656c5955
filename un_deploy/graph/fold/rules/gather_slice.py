"""Gather and Slice: they pick elements along axes and change none.

A gauge constant along those axes passes in both directions. One that varies along them is picked
too, going forward, if what is picked is constant; going backward, Slice leaves the rest as it is,
and so does a Gather beside others, where each picks its place.
The rows of an embedding table are reached this way: the table is a constant, which takes any gauge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge
from un_deploy.graph.analysis.evaluators.selection import bounds
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Refuse, Rule, Unit, into

_GUARD = "alike along what is picked from; forward at constant places, too"


class Select(Rule):
    ops: ClassVar = {
        "Gather": Operator("layout", (7, 26), moves=True, picks=True, guard=_GUARD),
        "Slice": Operator("layout", (7, 26), moves=True, guard=_GUARD),
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        move = _gather if unit.node.op_type == "Gather" else _slice
        forward = into(0) in known
        gauge = known[into(0)] if forward else known[OUT]
        return [(OUT if forward else into(0), move(unit, gauge, forward, view))]

    def examples(self) -> Iterator[ir.Model]:
        weights = {"a": (4,), "b": (4,), "w": (4, 5)}
        yield example(
            "(float[B,3,4] x) => (float[B,5] y)",
            "n = Norm(x) t = Gather<axis=1>(n, i) y = MatMul(t, w)",
            weights,
            integers={"i": 0},
        )
        yield example(
            "(int64[B,3] ids) => (float[B,3,4] y)",
            "x = Gather(table, ids) n = Norm(x) y = Identity(n)",
            {"a": (4,), "b": (4,), "table": (9, 4)},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,2,5] y)",
            "n = Norm(x) t = Slice(n, one, three, one) y = MatMul(t, w)",
            weights,
            integers={"one": [1], "three": [3]},
        )
        yield example(
            "(float[B,3,8] x) => (float[B,3,2] y)",
            "m = MatMul(x, w) p = Add(m, c) t = Slice(p, i, e, axes) n = Norm(t) y = Identity(n)",
            {"a": (2,), "b": (2,), "w": (8, 5), "c": (5,)},
            integers={"i": [2], "e": [4], "axes": [-1]},
        )
        yield example(
            "(float[B,3,8] x) => (float[B,3,5] y)",
            "n = Norm(x) t = Slice(n, i, e, axes, step) y = MatMul(t, w)",
            {"a": (8,), "b": (8,), "w": (4, 5)},
            integers={"i": [0], "e": [8], "axes": [2], "step": [2]},
        )
        yield example(
            "(float[B,3,8] x) => (float[B,2,5] y)",
            "n = Norm(x) t = Slice<axes=[1,2], starts=[0,2], ends=[-1,6]>(n) y = MatMul(t, w)",
            {"a": (8,), "b": (8,), "w": (4, 5)},
            opset=9,
        )


def _gather(unit: Unit, gauge: Gauge, forward: bool, view: GraphFacts) -> Gauge:
    data, indices = unit.input(0), unit.input(1)
    shape, of_data = view.shape(indices), view.shape(data)
    if shape is None or of_data is None:
        raise Refuse(f"the shape of {(indices if shape is None else data).name!r} is unknown")
    axis = unit.node.attributes.get_int("axis", 0) % len(of_data)
    picked = range(axis, axis + len(shape))
    if forward and axis in gauge.varies:
        if indices not in view.constants:
            raise Refuse("it picks along an axis on which the scale varies")
        at = view.constants[indices]
        return gauge.each(lambda a: _take(a, at, axis))
    ones = (1,) * len(shape)
    if forward:
        return gauge.each(lambda a: a.reshape((*a.shape[:axis], *ones, *a.shape[axis + 1 :])))
    if gauge.varies & set(picked):
        raise Refuse("it picks along an axis on which the scale varies")
    size = of_data[axis]
    if isinstance(size, int) and _is_parted(data, axis, len(of_data), view):
        place = int(view.constants[indices])

        def whole(array: np.ndarray, rest: float) -> np.ndarray:
            full = np.full((*array.shape[:axis], size, *array.shape[axis:]), rest)
            full[(slice(None),) * axis + (place,)] = array
            return full

        return Affine(whole(gauge.scale, 1.0), whole(gauge.shift, 0.0))
    return gauge.each(lambda a: a.reshape((*a.shape[:axis], 1, *a.shape[picked.stop :])))


def _is_parted(data: ir.Value, axis: int, rank: int, view: GraphFacts) -> bool:
    """Whether all its readers pick single places, as Q, K and V: each place has its own gauge."""
    readers = view.readers(data)
    return len(readers) > 1 and all(_picks_one(node, axis, rank, view) for node in readers)


def _picks_one(node: ir.Node, axis: int, rank: int, view: GraphFacts) -> bool:
    if node.domain or node.op_type != "Gather":
        return False
    at = node.inputs[1]
    along = node.attributes.get_int("axis", 0) % rank
    return at is not None and at in view.constants and along == axis and view.sizes(at) == ()


def _take(array: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    """Take along an axis; an array that is constant along it has one entry for all indices."""
    if array.shape[axis] == 1:
        return array.reshape((*array.shape[:axis], *[1] * at.ndim, *array.shape[axis + 1 :]))
    if not np.all((-array.shape[axis] <= at) & (at < array.shape[axis])):
        raise Refuse("it picks beyond the end of its axis")
    return np.take(array, at, axis=axis)


def _slice(unit: Unit, gauge: Gauge, forward: bool, view: GraphFacts) -> Gauge:
    starts, ends, axes, steps = (_parameter(unit.node, i, view) for i in range(1, 5))
    if not gauge.varies:
        return gauge
    if axes is None and len(unit.node.inputs) > 3 and unit.node.inputs[3] is not None:
        raise Refuse("its axes are computed")
    if axes is None:
        count = (starts.size,) if starts is not None else view.shape(unit.input(1))
        if not count or not isinstance(count[0], int):
            raise Refuse("its number of axes is unknown")
        axes = np.arange(count[0])
    cut = [int(axis) % gauge.rank for axis in axes.ravel()]
    if not gauge.varies & set(cut):
        return gauge
    if starts is None or ends is None:
        raise Refuse("it cuts along an axis on which the scale varies")
    if steps is None:
        if len(unit.node.inputs) > 4 and unit.node.inputs[4] is not None:
            raise Refuse("its steps are computed")
        steps = np.ones(len(cut), dtype=np.int64)
    if not forward:
        return _of_the_whole(unit, gauge, cut, (starts.ravel(), ends.ravel(), steps.ravel()), view)
    return gauge.each(_slicer(cut, starts.ravel(), ends.ravel(), steps.ravel()))


def _of_the_whole(
    unit: Unit, gauge: Gauge, cut: list[int], how: tuple[np.ndarray, ...], view: GraphFacts
) -> Gauge:
    """Backwards: what is cut out has the gauge, and the rest stays as it is."""
    shape = view.shape(unit.input(0))
    sizes = [None if shape is None else shape[axis] for axis in cut]
    index = [slice(None)] * gauge.rank
    for axis, size, start, end, step in zip(cut, sizes, *how, strict=True):
        if not isinstance(size, int) or step <= 0:
            raise Refuse("it cuts along an axis on which the scale varies")
        index[axis] = bounds(int(start), int(end), int(step), size)

    def whole(array: np.ndarray, rest: float) -> np.ndarray:
        full = list(array.shape)
        for axis, size in zip(cut, sizes, strict=True):
            full[axis] = size if isinstance(size, int) else 1
        found = np.full(full, rest)
        found[tuple(index)] = array
        return found

    return Affine(whole(gauge.scale, 1.0), whole(gauge.shift, 0.0))


def _parameter(node: ir.Node, position: int, view: GraphFacts) -> np.ndarray | None:
    """A parameter's value, constant or of known sizes; None where it is absent or computed.

    Up to opset 9 it is an attribute.
    """
    stated = node.attributes.get_ints(("starts", "ends", "axes", "steps")[position - 1])
    if stated is not None:
        return np.array(stated, np.int64)
    return view.integers(node.inputs[position] if position < len(node.inputs) else None)


def _slicer(
    cut: list[int], starts: np.ndarray, ends: np.ndarray, steps: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    def picked(array: np.ndarray) -> np.ndarray:
        for axis, start, end, step in zip(cut, starts, ends, steps, strict=True):
            if array.shape[axis] == 1:
                continue
            lowest = -array.shape[axis] - 1
            stop = None if step < 0 and end <= lowest else int(end)
            index = [slice(None)] * array.ndim
            index[axis] = slice(int(start), stop, int(step))
            array = array[tuple(index)]
        return array

    return picked


RULE = Select()
