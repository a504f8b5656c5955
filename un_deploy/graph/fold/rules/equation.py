"""MatMul and Einsum as one thing: a product of two tensors whose axes have names.

An axis of the result has the name of the axes it comes from; what is not in the result is summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Equation:
    """The names of the axes of two operands and of their product.

    Attributes:
        operands: of both, in the order of the node's inputs.
        result: of the product.
    """

    operands: tuple[Labels, Labels]
    result: Labels

    @staticmethod
    def of(node: ir.Node, ranks: tuple[int, int]) -> Equation | None:
        """That of a MatMul or an Einsum; None where there is none that names each axis once."""
        found = _einsum(node, ranks) if node.op_type == "Einsum" else _matmul(*ranks)
        if found is None or any(len(set(labels)) < len(labels) for labels in found._all()):
            return None
        return found

    def _all(self) -> tuple[Labels, ...]:
        return (*self.operands, self.result)

    def held(self, index: int, sizes: Sequence[int]) -> dict[str, int]:
        """The axes of an operand of these sizes along which it may vary, by name."""
        return {
            label: axis
            for axis, (label, size) in enumerate(zip(self.operands[index], sizes, strict=True))
            if size != 1
        }

    def sizes_in_result(self, index: int, sizes: Sequence[int]) -> tuple[int, ...]:
        """The sizes that this operand alone gives the result; 1 along all other axes."""
        held = self.held(index, sizes)
        return tuple(sizes[held[label]] if label in held else 1 for label in self.result)

    def bias_shape(self, index: int, sizes: Sequence[int]) -> tuple[int, ...]:
        """The shape of a bias that varies along all that this operand gives the result."""
        shared = set(self.operands[index]) & set(self.result)
        return without_leading_ones(self.sizes_in_result(index, sizes), min(1, len(shared)))


def placed(array: np.ndarray, labels: Labels, target: Labels) -> np.ndarray:
    """An array over some named axes as one over others: those that it lacks have size 1.

    Its axes that are not among the others have size 1.
    """
    kept = [axis for axis, label in enumerate(labels) if label in target]
    order = sorted(kept, key=lambda axis: target.index(labels[axis]))
    others = [axis for axis in range(len(labels)) if axis not in kept]
    sizes = dict(zip(labels, array.shape, strict=True))
    shape = [sizes.get(label, 1) for label in target]
    return array.transpose([*others, *order]).reshape(shape)


def without_leading_ones(shape: Sequence[int], least: int = 0) -> tuple[int, ...]:
    """A shape that broadcasts alike, of this rank at least."""
    found = tuple(shape)
    while len(found) > least and found[0] == 1:
        found = found[1:]
    return found


def _matmul(left: int, right: int) -> Equation | None:
    if not (left and right):
        return None
    batch = [f"batch {axis}" for axis in range(max(left, right) - 2, 0, -1)]
    rows, columns = (("row",) if left > 1 else ()), (("column",) if right > 1 else ())
    operands = (
        (*batch[len(batch) - max(left - 2, 0) :], *rows, "inner"),
        (*batch[len(batch) - max(right - 2, 0) :], "inner", *columns),
    )
    return Equation(operands, (*batch, *rows, *columns))


def _einsum(node: ir.Node, ranks: tuple[int, int]) -> Equation | None:
    given, arrow, wanted = (
        node.attributes.get_string("equation", "").replace(" ", "").partition("->")
    )
    terms = given.split(",")
    if len(terms) != 2:
        return None
    operands = [_labels(term, rank) for term, rank in zip(terms, ranks, strict=True)]
    if any(labels is None for labels in operands):
        return None
    left, right = (labels or () for labels in operands)
    rest = max((labels for labels in (left, right)), key=lambda named: len(_rest(named)))
    if arrow:
        before, dots, behind = wanted.partition("...")
        result = (*before, *(_rest(rest) if dots else ()), *behind)
        if not dots and _rest(rest):
            return None
    else:
        letters = given.replace(",", "").replace("...", "")
        result = (*_rest(rest), *sorted(x for x in set(letters) if letters.count(x) == 1))
    return Equation((left, right), result) if set(result) <= {*left, *right} else None


def _labels(term: str, rank: int) -> Labels | None:
    """A name for each axis; those of an ellipsis are counted from the last."""
    before, dots, behind = term.partition("...")
    more = rank - len(before) - len(behind)
    if more < 0 or (more and not dots):
        return None
    return (*before, *(f"... {axis}" for axis in range(more, 0, -1)), *behind)


def _rest(labels: Labels) -> Labels:
    return tuple(label for label in labels if label.startswith("..."))
