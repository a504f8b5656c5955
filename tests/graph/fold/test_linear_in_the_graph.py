"""What a fold and its proof look at grows with the graph, and not with its square."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import onnx_ir as ir
import pytest

from tests.support.graphs import build, fold_and_prove
from un_deploy.graph.fold.editor import names_of_all
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Unit
from un_deploy.graph.proof.proven_claims import ProvenClaims


def stream(blocks: int) -> ir.Model:
    """A residual stream whose last norm cannot go: the way back is tried from every norm."""
    body, x = "", "x"
    for i in range(blocks):
        body += f" m{i} = Mul({x}, a) n{i} = Add(m{i}, b) h{i} = MatMul(n{i}, w)"
        body += f" r{i} = Relu(h{i}) x{i} = Add({x}, r{i})"
        x = f"x{i}"
    body += f" m = Mul({x}, a) y = Add(m, b)"
    return build("float[B,3,4] x => float[B,3,4] y", body, a=(4,), b=(4,), w=(4, 4))


def branches(count: int) -> ir.Model:
    """Norms that all read one tensor, and sums that join them again."""
    body, total = "x0 = MatMul(x, w)", "h0"
    for i in range(count):
        body += f" m{i} = Mul(x0, a) n{i} = Add(m{i}, b) h{i} = MatMul(n{i}, w)"
    for i in range(1, count):
        body += f" s{i} = Add({total}, h{i})"
        total = f"s{i}"
    body += f" y = Relu({total})"
    return build("float[B,3,4] x => float[B,3,4] y", body, a=(4,), b=(4,), w=(4, 4))


def joined(count: int) -> ir.Model:
    """Norms behind linear operators, all on one Concat."""
    body = ""
    for i in range(count):
        body += f" h{i} = MatMul(x, w) m{i} = Mul(h{i}, a) n{i} = Add(m{i}, b)"
    names = ", ".join(f"n{i}" for i in range(count))
    body += f" c = Concat<axis=1>({names}) p = MatMul(c, w) y = Relu(p)"
    return build("float[B,3,4] x => float[B,N,4] y", body, a=(4,), b=(4,), w=(4, 4))


@pytest.mark.parametrize(("make", "stays"), [(stream, 1), (branches, 0), (joined, 0)])
def test_twice_the_graph_takes_twice_the_questions(
    make: Callable[[int], ir.Model], stays: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("un_deploy.graph.fold.solving.absorbers._MOST_ASKED", 4)
    asked: Counter[str] = Counter()

    def counted(kind: type, name: str, many: Callable[..., int]) -> None:
        before = getattr(kind, name)

        def after(self: object, *given: object) -> object:
            asked[name] += many(*given)
            return before(self, *given)

        monkeypatch.setattr(kind, name, after)

    counted(GraphView, "touching", lambda value: 1)
    counted(ProvenClaims, "of", lambda value, original: 1)
    counted(Unit, "input", lambda position: 1)
    found = []
    for size in (8, 16, 32):
        asked.clear()
        folded = fold_and_prove(make(size))
        assert len(folded.report.folded) == size + (1 if make is stream else 0) - stays
        found.append(sum(asked.values()))
    assert found[1] - found[0] > 0
    assert found[2] - found[1] <= 2.2 * (found[1] - found[0])


@pytest.mark.parametrize("operator", ["Transpose<perm=[1,0,2]>({})", "Identity({})", "Neg({})"])
def test_a_norm_beside_a_thousand_operators_in_a_row_folds(operator: str) -> None:
    body, x = "", "x"
    for i in range(1000):
        body += f" t{i} = {operator.format(x)}"
        x = f"t{i}"
    body += f" m = Mul({x}, a) n = Add(m, b) y = MatMul(n, w)"
    model = build("float[B,3,4] x => float[B,3,4] y", body, a=(4,), b=(4,), w=(4, 4))
    assert len(fold_graph(model).report.folded) == 1


@pytest.mark.parametrize("count", [1, 8])
def test_names_are_collected_once_however_many_bodies_there_are(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected: list[ir.Graph] = []
    collect = names_of_all

    def counted(graph: ir.Graph) -> set[str | None]:
        collected.append(graph)
        return collect(graph)

    monkeypatch.setattr("un_deploy.graph.fold.fold.names_of_all", counted)
    monkeypatch.setattr("un_deploy.graph.fold.editor.names_of_all", counted)
    body = ""
    for i in range(count):
        body += f"""
            y{i} = If (c) <
                then_branch = t{i} () => (float[B,3,4] o{i}) {{
                    m{i} = Mul(x, a) n{i} = Add(m{i}, b) o{i} = MatMul(n{i}, w) }},
                else_branch = e{i} () => (float[B,3,4] p{i}) {{ p{i} = Identity(x) }}>"""
    outputs = ", ".join(f"float[B,3,4] y{i}" for i in range(count))
    model = build(f"float[B,3,4] x, bool c => {outputs}", body, a=(4,), b=(4,), w=(4, 4))
    assert len(fold_graph(model).report.folded) == count
    assert len(collected) == 1
