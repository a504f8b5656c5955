"""What is known of operators that slide a window."""

from __future__ import annotations

from tests.support.graphs import build
from un_deploy.graph.proof.windows import LEAST, reach, strides, windows

BODY = "c = Conv<strides=[2,2], dilations=[3,1]>(x, w) t = Transpose(c) y = Neg(t)"
MODEL = build("float[1,2,9,9] x => float[A,B,C,D] y", BODY, w=(3, 2, 3, 3))


def test_a_window_has_to_begin_to_end_and_to_move_on() -> None:
    """Three places three apart are seven, and two steps of two more."""
    conv, transpose, _ = MODEL.graph
    assert (reach(conv), reach(transpose)) == (11, LEAST)
    assert list(strides(conv)) == [2, 2] and not strides(transpose)


def test_all_that_is_stated_of_a_window_counts() -> None:
    other = build(
        "float[1,2,9,9] x => float[A,B,C,D] y", BODY.replace("[3,1]", "[1,3]"), w=(3, 2, 3, 3)
    )
    assert len(windows(MODEL.graph)) == 1
    assert windows(MODEL.graph) == windows(MODEL.clone().graph) != windows(other.graph)
