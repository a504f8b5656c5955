"""Two sequences side by side: kernels, and layers in the same way."""

from __future__ import annotations

from dataclasses import replace

from tests.support.reports import LAYER_NORM, LAYERS, LINEAR, NORM, OUT, kernel
from un_deploy.measure.report.sections import side_by_side


def test_what_fuses_the_same_stands_in_one_row_whatever_the_nodes_are_called() -> None:
    renamed = replace(LINEAR, onnx_nodes=("other",))
    rows = list(side_by_side.aligned([NORM, LINEAR, NORM, OUT], [renamed, OUT]))
    assert rows == [(NORM, None), (LINEAR, renamed), (NORM, None), (OUT, OUT)]


def test_what_fuses_other_things_in_the_same_place_stands_in_one_row() -> None:
    longer = kernel("kgen TranConcAddMean", "cat", "norm")
    shorter = kernel("kgen TranConcAdd", "cat")
    assert list(side_by_side.aligned([longer, LINEAR], [shorter, LINEAR])) == [
        (longer, shorter),
        (LINEAR, LINEAR),
    ]


def test_no_kernel_is_lost_and_none_changes_its_place() -> None:
    left = [NORM, LINEAR, OUT, NORM, LINEAR, NORM] * 70  # beyond difflib's own shortcut
    right = [LINEAR, OUT, LINEAR] * 70
    rows = list(side_by_side.aligned(left, right))
    assert [one for one, _ in rows if one is not None] == left
    assert [one for _, one in rows if one is not None] == right
    pairs = [(a.what, b.what) for a, b in rows if a is not None and b is not None]
    assert len(pairs) == len(right) and all(a == b for a, b in pairs)


def test_layers_are_aligned_as_kernels_are() -> None:
    slower = tuple(replace(one, name="another", median_s=2 * one.median_s) for one in LAYERS)
    pairs = list(side_by_side.aligned([LAYER_NORM, *LAYERS], slower))
    assert pairs == [(LAYER_NORM, None), *zip(LAYERS, slower, strict=True)]


def test_what_is_said_of_them() -> None:
    other = kernel("kgen Add", "cat")
    pairs = list(side_by_side.aligned([NORM, LINEAR, NORM, OUT], [LINEAR, other, OUT, OUT]))
    assert pairs == [(NORM, None), (LINEAR, LINEAR), (NORM, other), (OUT, OUT), (None, OUT)]
    assert side_by_side.says(pairs, "kernels").startswith(
        "4 kernels of LN beside 4 of UN folded, in the order in which they run: 2 of the same kind "
        "that fuse the same operators, 1 that fuse others, 1 only in LN, 1 only in UN folded."
    )
    table = side_by_side.table(pairs, "Kernels", "bytes", lambda one: (one.what, one.name))
    assert [row[0] for row in table.rows] == ["only LN", "same", "differs", "same", "only UN"]
    assert table.marks == ("bad", "", "muted", "", "bad")
    assert table.rows[0] == ("only LN", NORM.what, NORM.name, "", "")
    assert table.rows[4] == ("only UN", "", "", OUT.what, OUT.name)
