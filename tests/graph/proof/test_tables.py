"""Of a table only the rows that are looked up are read; everything else is read whole."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.graph.analysis.exact import Exact, Part
from un_deploy.graph.proof.tables import RegionConstants

TABLE = np.arange(40.0).reshape(10, 4)


def constants_of(body: str) -> tuple[ir.Model, RegionConstants, list[Part]]:
    """What a graph with the table t reads, and the parts of it that were read."""
    model = build("int64[3] i, int64[3] j => float[3,4] y", body, t=TABLE.astype(np.float32))
    read: list[Part] = []

    def exact(value: ir.Value) -> Exact:
        def reader() -> object:
            return lambda part: read.append(part) or TABLE[part]

        return Exact(reader, TABLE.shape)  # type: ignore[arg-type]

    table = model.graph.initializers["t"]
    return model, RegionConstants(tuple(model.graph), [table], exact), read


def looked_up(body: str, **indices: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The table as it is read, and the rows of it that the indices i mean then."""
    model, constants, _ = constants_of(body)
    inputs = {str(value.name): value for value in model.graph.inputs}
    values = {inputs[name]: np.array(numbers) for name, numbers in indices.items()}
    values = constants.beside(values)
    table = values[model.graph.initializers["t"]]
    return table, table[values[inputs["i"]]]


def test_the_rows_between_the_first_and_the_last_index_are_read() -> None:
    table, rows = looked_up("y = Gather(t, i)", i=[6, 4, 5])
    np.testing.assert_array_equal(table, TABLE[4:7])
    np.testing.assert_array_equal(rows, TABLE[[6, 4, 5]])


@pytest.mark.parametrize(
    "body",
    [
        "k = Gather(t, i) l = Gather(t, j) y = Add(k, l)",  # by two tensors
        "k = Gather(t, i) l = Cast<to=1>(i) y = Add(k, l)",  # the index is a number, too
        "k = Gather(t, i) l = Identity(t) y = Add(k, l)",  # the table is read elsewhere
        "y = Gather<axis=1>(t, i)",
    ],
)
def test_it_is_read_whole_where_its_rows_are_not_all(body: str) -> None:
    table, _ = looked_up(body, i=[1, 2, 3], j=[5, 5, 5])
    np.testing.assert_array_equal(table, TABLE)


def test_indices_from_the_end_read_it_whole() -> None:
    table, rows = looked_up("y = Gather(t, i)", i=[-1, 0, 2])
    np.testing.assert_array_equal(table, TABLE)
    np.testing.assert_array_equal(rows, TABLE[[-1, 0, 2]])


def test_what_is_read_whole_is_read_once() -> None:
    model, constants, read = constants_of("k = Gather(t, i) l = Identity(t) y = Add(k, l)")
    for _ in range(3):
        values = {value: np.array([1, 2, 3]) for value in model.graph.inputs}
        constants.beside(values)
    assert len(read) == 1


def test_shapes_and_small_constants_are_told() -> None:
    _, constants, read = constants_of("y = Gather(t, i)")
    assert list(constants.shapes) == [(10, 4)] and not read
    assert list(constants.small(39)) == []
    (array,) = constants.small(40)
    np.testing.assert_array_equal(array, TABLE)
