"""Every kind of damage by name, and one damage of a kind at a random place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

import onnx_ir as ir

from tests.support.corruptor import constants, operators
from tests.support.corruptor.target import Place, Target
from tests.support.corruptor.tensors import Tensors, bodies

#: Damages the target at a random place; None where it offers no such place.
Kind = Callable[[Target], Place | None]


def body_changed(target: Target) -> Place | None:
    """A body, or a local function, damaged in another way; or two branches swapped."""
    for body in target.shuffled(target.bodies()):
        swappable = [
            n for n in target.nodes if n.op_type == "If" and body in bodies(n, target.model)
        ]
        if swappable and target.random.random() < 0.1:
            (node,) = swappable
            branches = [node.attributes[name].as_graph() for name in _BRANCHES]
            place = target.place("its branches swapped", node)
            for name, branch in zip(_BRANCHES, reversed(branches), strict=True):
                node.attributes[name] = ir.AttrGraph(name, branch)
            return place
        everything, target.nodes = target.nodes, [n for n in target.nodes if n.graph is body]
        for kind in target.shuffled(_IN_BODIES):
            if (place := kind(target)) is not None:
                return place
        target.nodes = everything
    return None


_BRANCHES = ("then_branch", "else_branch")
_IN_BODIES: list[Kind] = [
    constants.weight_off,
    constants.weights_swapped,
    constants.bias_zeroed,
    operators.attribute_changed,
    operators.edge_moved,
    operators.operator_dropped,
    operators.operator_replaced,
]

KINDS: Mapping[str, Kind] = {
    "a weight off": constants.weight_off,
    "two weights swapped": constants.weights_swapped,
    "a bias zeroed": constants.bias_zeroed,
    "a bias dropped": operators.bias_dropped,
    "a matrix transposed": constants.matrix_transposed,
    "a table row changed": constants.table_row_changed,
    "wrong sharing": constants.wrongly_shared,
    "an attribute changed": operators.attribute_changed,
    "an edge moved": operators.edge_moved,
    "an operator dropped": operators.operator_dropped,
    "an operator replaced": operators.operator_replaced,
    "two outputs swapped": operators.outputs_swapped,
    "a body changed": body_changed,
}


@dataclass(frozen=True)
class Damaged:
    """A damaged model, and where it is damaged."""

    model: ir.Model
    place: Place


class Corruptor:
    """Damages copies of one folded model, the same for the same seed.

    Args:
        folded: as it would be saved.
    """

    def __init__(self, folded: ir.Model) -> None:
        self._saved = ir.from_proto(ir.to_proto(folded))
        self._tensors = Tensors(self._saved)

    def damaged(self, kind: str, seed: int) -> Damaged | None:
        """A copy with one damage, of one of `KINDS`; None where the model has no place for it."""
        copy = self._saved.clone()
        place = KINDS[kind](Target(copy, self._tensors, Random(seed)))
        return None if place is None else Damaged(copy, place)
