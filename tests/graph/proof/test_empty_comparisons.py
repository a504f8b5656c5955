"""A comparison in which nothing is compared proves nothing: sizes grow until something is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import NORM, build
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.fold.original_tensors import Claim
from un_deploy.graph.proof.proof import Proof
from un_deploy.graph.proof.prove import prove


def sliced(start: int, end: int = 2**31) -> ir.Model:
    """A norm, and a piece of an open axis behind it."""
    body = f"{NORM} t = Slice(n, start, end, axis) y = MatMul(t, w)"
    constants = {"a": (4,), "b": (4,), "w": (4, 5), "start": [start], "end": [end], "axis": [1]}
    return build("float[B,S,4] x => float[B,T,5] y", body, **constants)


def with_claim(folded: Folded, name: str, *, off: float) -> Folded:
    """The scale that one tensor is claimed to be behind is wrong by a factor."""
    (claim,) = folded.claims[name]
    assert claim.gauge is not None
    gauge = Affine(off * claim.gauge.scale, claim.gauge.shift)
    return replace(folded, claims={**folded.claims, name: (replace(claim, gauge=gauge),)})


@pytest.mark.parametrize(("start", "end"), [(8, 2**31), (30, 2**31), (200, 2**31), (-3, -1)])
def test_a_slice_of_an_open_axis_is_compared_where_it_has_entries(start: int, end: int) -> None:
    """The small sizes that are tried first leave nothing behind the eighth place."""
    original = sliced(start, end)
    folded = fold_graph(original.clone())
    assert folded.report.folded and prove(original, folded).passed
    wrong = prove(original, with_claim(folded, "t", off=1.1))
    assert wrong.problems[0].place == "Slice_2" and wrong.problems[0].differs


def test_a_slice_that_never_has_an_entry_is_not_proven() -> None:
    """Sizes end somewhere: what starts behind them was not compared."""
    original = sliced(100_000)
    folded = fold_graph(original.clone())
    assert folded.report.folded
    (problem, *_) = prove(original, folded).problems
    assert problem.place == "Slice_2" and not problem.differs


def proof_of(new: str, old: str, signature: str, **constants: object) -> Proof:
    """Of one graph as the fold of another: of its tensors t, the inputs and y alone are claimed."""
    original, other = build(signature, old, **constants), build(signature, new, **constants)
    inside = {v.name: () for node in other.graph for v in node.outputs if v.name != "y"}
    folded = fold_graph(original.clone())
    assert not folded.report.folded
    claims: dict[str, tuple[Claim, ...]] = {str(name): () for name in inside}
    return prove(original, replace(folded, model=other, claims=claims))


class TestATensorThatPlaysNoPart:
    """At small sizes the piece comes from z alone, and both graphs give the same."""

    signature = "float[B,S,4] x, float[B,R,4] z => float[B,T,4] y"
    old = "c = Concat<axis=1>(x, z) y = Slice(c, start, end, axis)"
    numbers = {"end": [2**31], "axis": [1]}  # noqa: RUF012  # read as a constant

    def test_sizes_grow_until_it_does(self) -> None:
        new = "u = Neg(x) c = Concat<axis=1>(u, z) y = Slice(c, start, end, axis)"
        proof = proof_of(new, self.old, self.signature, start=[8], **self.numbers)
        assert any(problem.differs for problem in proof.problems)

    def test_the_same_graph_is_proven(self) -> None:
        new = "u = Identity(x) c = Concat<axis=1>(u, z) y = Slice(c, start, end, axis)"
        assert proof_of(new, self.old, self.signature, start=[8], **self.numbers).passed

    def test_where_it_never_does_nothing_is_proven(self) -> None:
        """A wrong first part that is sliced away, at whatever size is tried."""
        new = "u = Neg(x) c = Concat<axis=1>(u, z) y = Slice(c, start, end, axis)"
        proof = proof_of(new, self.old, self.signature, start=[-1], **self.numbers)
        assert not proof.passed and not any(problem.differs for problem in proof.problems)


def test_a_branch_of_where_that_a_constant_never_takes_is_not_proven() -> None:
    never = np.zeros((1, 1, 4), dtype=bool)
    signature = "float[B,3,4] x, float[B,3,4] z => float[B,3,4] y"
    proof = proof_of("u = Neg(x) y = Where(c, u, z)", "y = Where(c, x, z)", signature, c=never)
    assert not proof.passed and not any(problem.differs for problem in proof.problems)


def test_a_branch_of_where_that_an_input_chooses_is_compared() -> None:
    signature = "float[B,3,4] x, float[B,3,4] z, bool[B,3,4] c => float[B,3,4] y"
    for wrong in ("u = Neg(x) y = Where(c, u, z)", "u = Neg(z) y = Where(c, x, u)"):
        proof = proof_of(wrong, "y = Where(c, x, z)", signature)
        assert any(problem.differs for problem in proof.problems)
    right = proof_of("u = Identity(x) y = Where(c, u, z)", "y = Where(c, x, z)", signature)
    assert right.passed


def test_every_row_of_a_table_is_looked_up() -> None:
    """Whatever the few indices of a drawn example are."""
    body = "e = Gather(table, ids) m = Mul(e, a) y = Add(m, b)"
    constants = {"a": (4,), "b": (4,), "table": (500, 4)}
    original = build("int64[2] ids => float[2,4] y", body, **constants)
    folded = fold_graph(original.clone())
    assert folded.report.folded and prove(original, folded).passed
    right = folded.exact["table"]()
    for row in (0, 7, 251, 499):
        wrong = right.copy()
        wrong[row, 1] *= 1.01
        spoilt = replace(folded, exact={**folded.exact, "table": Exact.held(wrong)})
        assert any("gives" in problem.text for problem in prove(original, spoilt).problems), row


def test_a_tensor_without_axes_is_compared() -> None:
    signature, old = "float x => float y", "y = Mul(x, k)"
    half = np.array(0.5, np.float32)
    assert proof_of("u = Identity(x) y = Mul(u, k)", old, signature, k=half).passed
    (problem,) = proof_of("u = Neg(x) y = Mul(u, k)", old, signature, k=half).problems
    assert problem.differs and problem.place == "Mul_1"


class TestNoChance:
    """Whole numbers that are equal once may be so by chance, and sizes that are equal too."""

    def test_a_boolean_is_not_taken_for_a_constant_that_it_happens_to_equal(self) -> None:
        body = "t = Constant<value = bool {{1}}>() y = If({}) <then_branch = a () => (float[B,4] u)"
        body += " {{ u = Neg(x) }}, else_branch = b () => (float[B,4] v) {{ v = Abs(x) }}>"
        signature = "float[B,4] x, bool c => float[B,4] y"
        original, other = (build(signature, body.format(condition)) for condition in "tc")
        folded = fold_graph(original.clone())
        assert prove(original, folded).passed
        assert not prove(original, replace(folded, model=other)).passed

    @pytest.mark.parametrize("dtype", ["bool", "int64"])
    def test_one_input_is_not_taken_for_another(self, dtype: str) -> None:
        signature = f"{dtype} c, {dtype} d => {dtype} y"
        new = "u = Identity(d) y = Identity(u)"
        assert not proof_of(new, "u = Identity(c) y = Identity(u)", signature).passed

    def test_one_open_size_is_not_taken_for_another_where_a_third_is_bound(self) -> None:
        """The batch must be 2, for the class token; S and T are still told apart."""
        body = "k = Concat<axis=1>(x, cls) s = Shape<start={0}, end={1}>(z) m = Concat<axis=0>({2})"
        body += " y = Reshape(k, m)"
        signature = "float[B,S,4] x, float[S,T,4] z => float[B,P,Q] y"
        cls, four = np.ones((2, 1, 4), np.float32), np.array([-1, 4])
        old, new = (body.format(start, start + 1, "s, four") for start in (0, 1))
        assert not proof_of(new, old, signature, cls=cls, four=four).passed
