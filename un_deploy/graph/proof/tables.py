"""The constants of a region: read whole, but of tables only the rows that are looked up.

A table of words is the largest constant of a network, and in float64 twice that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.exact import Exact

Array = np.ndarray

#: Constants of more entries are computed again for each choice of sizes, not kept.
_KEPT = 1 << 22


class RegionConstants:
    """What one side of a region reads of constants, in float64."""

    def __init__(
        self,
        nodes: Iterable[ir.Node],
        constants: Iterable[ir.Value],
        exact: Callable[[ir.Value], Exact],
    ) -> None:
        """`exact` gives a constant's numbers."""
        self._exact = {value: exact(value) for value in constants}
        self._indices = dict(_tables(tuple(nodes), self._exact))
        self._kept: dict[ir.Value, Array] = {}

    @property
    def shapes(self) -> Iterator[tuple[int, ...]]:
        """Of all constants."""
        yield from (exact.shape for exact in self._exact.values())

    def small(self, entries: int) -> Iterator[Array]:
        """The constants of no more than so many entries."""
        for value, exact in self._exact.items():
            if np.prod(exact.shape) <= entries:
                yield self._all(value)

    def beside(self, given: Mapping[ir.Value, Array]) -> dict[ir.Value, Array]:
        """The given tensors and the constants; indices of tables become those of the rows read."""
        values = dict(given)
        parts: dict[ir.Value, slice] = {}
        for value in self._exact:
            index = self._indices.get(value)
            if index is None or not values[index].size or np.min(values[index]) < 0:
                values[value] = self._all(value)
                continue
            if index not in parts:
                first = int(np.min(values[index]))
                parts[index] = slice(first, int(np.max(values[index])) + 1)
            values[value] = self._exact[value].read()((parts[index],))
        for index, rows in parts.items():
            values[index] = values[index] - rows.start
        return values

    def _all(self, value: ir.Value) -> Array:
        if value in self._kept:
            return self._kept[value]
        array = self._exact[value]()
        if array.size <= _KEPT:
            self._kept[value] = array
        return array


def _tables(
    nodes: tuple[ir.Node, ...], constants: Mapping[ir.Value, Exact]
) -> Iterator[tuple[ir.Value, ir.Value]]:
    """Constants whose rows are looked up, all by one tensor that does nothing else; and that."""
    uses: dict[ir.Value, list[tuple[ir.Node, int]]] = {}
    for node in nodes:
        for position, value in enumerate(node.inputs):
            if value is not None:
                uses.setdefault(value, []).append((node, position))
    for table in constants:
        lookups = uses.get(table, [])
        indices = {node.inputs[1] for node, position in lookups if _looks_up(node, position)}
        index = next(iter(indices), None)
        if len(indices) != 1 or index is None or index in constants:
            continue
        if len(lookups) == len(uses[index]) == 1:
            yield table, index


def _looks_up(node: ir.Node, position: int) -> bool:
    """Whether it reads this as a table of rows; GatherND and GatherElements look elsewhere too."""
    return node.op_type == "Gather" and node.attributes.get_int("axis", 0) == 0 and position == 0
