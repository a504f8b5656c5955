"""Concat and Split: a gauge of the whole is cut into its parts' gauges, or joined from them.

A gauge constant along the axis is the same on the whole and on every part. One that varies along
it is cut into the parts' pieces, whose sizes must be known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Port, Refuse, Rule, Unit, into

_GUARD = "along the joined axis by known sizes, along others {}"


class Join(Rule):
    ops: ClassVar = {
        "Concat": Operator(
            "layout",
            (7, 26),
            moves=True,
            shift_from="every",
            joins=True,
            guard=_GUARD.format("alike in all"),
        ),
        "Split": Operator("layout", (7, 26), moves=True, guard=_GUARD.format("alike")),
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        whole, parts, values = _ends(unit)
        known = {port: known[port] for port in (whole, *parts) if port in known}
        rank = next(iter(known.values())).rank
        axis = unit.node.attributes.get_int("axis", 0) % rank
        if whole in known and axis in known[whole].varies:
            return list(zip(parts, _cut(known[whole], axis, values, view), strict=True))
        if all(axis not in gauge.varies for gauge in known.values()):
            gauge = known[whole] if whole in known else next(iter(known.values()))
            if len(known) == 1 or whole in known or _alike(known.values()):
                return [(port, gauge) for port in (whole, *parts)]
        sizes = _sizes(axis, values, view)
        pieces = [known.get(port, Affine.identity(rank)) for port in parts]
        joined = Affine(
            _joined([p.scale for p in pieces], sizes, axis),
            _joined([p.shift for p in pieces], sizes, axis),
        )
        return [(whole, joined), *zip(parts, pieces, strict=True)]

    def examples(self) -> Iterator[ir.Model]:
        yield example(
            "(float[B,3,4] x) => (float[B,4,5] y)",
            "p = MatMul(x, w) t = Concat<axis=1>(p, cls) n = Norm(t)"
            " e = Expand(n, s) y = Identity(e)",
            {"a": (5,), "b": (5,), "w": (4, 5), "cls": (2, 1, 5)},
            integers={"s": [1, 1, 1]},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "p = MatMul(x, w) q = MatMul(x, v) t = Concat<axis=2>(p, q)"
            " n = Norm(t) y = MatMul(n, u)",
            {"a": (7,), "b": (7,), "w": (4, 5), "v": (4, 2), "u": (7, 5)},
        )
        yield example(
            "(float[B,3,4] x, float[B,3,4] z) => (float[B,3,5] y)",
            "n = Norm(x) t = Concat<axis=2>(n, z) y = MatMul(t, v)",
            {"a": (4,), "b": (4,), "v": (8, 5)},
        )
        yield example(
            "(float[B,3,6] x) => (float[B,3,5] y, float[B,3,5] z)",
            "n = Norm(x) p, q = Split<axis=2>(n, s) y = MatMul(p, w) z = MatMul(q, v)",
            {"a": (6,), "b": (6,), "w": (2, 5), "v": (4, 5)},
            integers={"s": [2, 4]},
        )


def _ends(unit: Unit) -> tuple[Port, list[Port], list[ir.Value]]:
    """The port of the whole, those of the parts, and the parts' tensors."""
    if unit.node.op_type == "Split":
        values = list(unit.outputs)
        return into(0), [Port("out", i) for i in range(len(values))], values
    values = [v for v in unit.node.inputs if v is not None]
    return OUT, [into(i) for i in range(len(values))], values


def _sizes(axis: int, values: Sequence[ir.Value], view: GraphFacts) -> list[int]:
    sizes: list[int] = []
    for value in values:
        shape = view.shape(value)
        size = None if shape is None else shape[axis]
        if not isinstance(size, int):
            raise Refuse(f"the size of {value.name!r} along the joined axis is unknown")
        sizes.append(size)
    return sizes


def _cut(gauge: Gauge, axis: int, values: Sequence[ir.Value], view: GraphFacts) -> list[Gauge]:
    bounds = np.cumsum(_sizes(axis, values, view))[:-1]

    def pieces(array: np.ndarray) -> list[np.ndarray]:
        if array.shape[axis] == 1:
            return [array] * len(values)
        return np.split(array, bounds, axis=axis)

    return [
        Affine(scale, shift)
        for scale, shift in zip(pieces(gauge.scale), pieces(gauge.shift), strict=True)
    ]


def _joined(arrays: list[np.ndarray], sizes: list[int], axis: int) -> np.ndarray:
    """Each array repeated to its part's size along the axis, broadcast along the others."""
    others = [
        1 if i == axis else n
        for i, n in enumerate(np.broadcast_shapes(*(_without(a, axis) for a in arrays)))
    ]
    full = []
    for array, size in zip(arrays, sizes, strict=True):
        shape = list(others)
        shape[axis] = size
        full.append(np.broadcast_to(array, shape))
    return np.concatenate(full, axis=axis)


def _without(array: np.ndarray, axis: int) -> tuple[int, ...]:
    return tuple(1 if i == axis else n for i, n in enumerate(array.shape))


def _alike(gauges: Iterable[Gauge]) -> bool:
    first, *others = gauges
    return all(first.same(other) for other in others)


RULE = Join()
