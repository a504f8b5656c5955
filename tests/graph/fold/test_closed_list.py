"""What stays in docs/networks.md since nothing exact could be done, as graphs of a few operators.

benchmarks/networks/stays.py lists the networks; here is why, one form each.
"""

from __future__ import annotations

import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, fold_and_prove, operators

TOKENS = "float[B,3,4] x => float[B,3,4] y"
WEIGHTS = {"a": (4,), "b": (4,), **dict.fromkeys(("u", "v", "w"), (4, 4))}


def weights(*names: str) -> dict[str, tuple[int, ...]]:
    return {name: WEIGHTS[name] for name in names}


def test_in_front_of_a_mixing_of_tokens_and_its_gelu() -> None:
    """As in Mixer: the same weights for all channels, in what it reads and in what it adds."""
    body = """
        h = MatMul(x, u) m = Mul(h, a) n = Add(m, b)
        t = Transpose<perm=[0,2,1]>(n) p = MatMul(t, into) g = Gelu(p) q = MatMul(g, back)
        r = Transpose<perm=[0,2,1]>(q) s = Add(h, r) y = MatMul(s, v)
    """
    model = build(TOKENS, body, **weights("a", "b", "u", "v"), into=(3, 6), back=(6, 3))
    assert_stays(model, "Gelu_5 (Gelu) does not commute")


@pytest.mark.parametrize("product", ["MatMul(mix, n)", 'Einsum<equation="st,btc->bsc">(mix, n)'])
def test_a_mixing_alone_by_a_weight_on_the_left_stops_nothing(product: str) -> None:
    body = f"{NORM} t = {product} y = MatMul(t, w)"
    folded = assert_folds(build(TOKENS, body, **weights("a", "b", "w"), mix=(3, 3)))
    assert "Mul" not in operators(folded.model)


def test_between_a_sum_and_a_gelu() -> None:
    """As CrossViT hands the class token of one branch to the other."""
    body = f"""
        h = MatMul(x, u) p = Tanh(h) z = Add(h, p) {NORM.replace("x", "z")}
        g = Gelu(n) q = MatMul(g, w) o = Sigmoid(z) y = Add(q, o)
    """
    assert_stays(build(TOKENS, body, **weights("a", "b", "u", "w")), "Gelu")


def test_what_is_added_to_a_part_of_what_it_reads() -> None:
    """As XCiT's class attention: the class token gets attention, the patches the norm itself."""
    body = f"""
        h = MatMul(x, u) {NORM.replace("x", "h")}
        c = Slice(n, zero, one, one) o = MatMul(c, w)
        p = Slice(n, one, end, one) j = Concat<axis=1>(o, p) s = Add(h, j) y = MatMul(s, v)
    """
    numbers = {"zero": [0], "one": [1], "end": [9]}
    model = build(TOKENS, body, **WEIGHTS, **numbers)
    assert_stays(model, "would need two different scales or shifts")


def test_a_shift_in_front_of_a_padded_convolution() -> None:
    """As XCiT mixes patches near to each other: the scale goes, an Add of the shift stays."""
    body = f"h = Relu(x) {NORM.replace('x', 'h')} y = Conv<pads=[1,1,1,1]>(n, k)"
    shapes = {"a": (4, 1, 1), "b": (4, 1, 1), "k": (4, 4, 3, 3)}
    model = build("float[B,4,5,5] x => float[B,4,5,5] y", body, **shapes)
    folded = fold_and_prove(model)
    assert operators(folded.model) == ["Relu", "Add", "Conv"]
    (site,) = folded.report.sites
    assert "pads its input with zeros" in site.reason
