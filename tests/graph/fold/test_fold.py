"""Folding whole graphs: what comes out, what is kept, and what is never touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.defs import onnx_opset_version
from onnx.reference import ReferenceEvaluator

from tests.support.graphs import (
    NORM,
    assert_folds,
    assert_stays,
    build,
    feeds_for,
    fold_and_prove,
    operators,
    stored,
    to_bytes,
)
from un_deploy.errors import InputError
from un_deploy.graph.analysis.evaluators.evaluator import LAST_OPSET
from un_deploy.graph.fold.fold import fold_graph

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


def pre_norm() -> ir.Model:
    """x + f(norm(x)), twice, and a last norm before the head."""
    body = "h0 = MatMul(x, w0)"
    weights = {"w0": (4, 4), "head": (4, 5), "a3": (4,), "b3": (4,)}
    for i in (1, 2):
        body += f""" m{i} = Mul(h{i - 1}, a{i}) n{i} = Add(m{i}, b{i}) f{i} = MatMul(n{i}, v{i})
                     g{i} = Add(f{i}, c{i}) r{i} = Relu(g{i}) p{i} = MatMul(r{i}, w{i})
                     h{i} = Add(h{i - 1}, p{i})"""
        weights |= {f"v{i}": (4, 6), f"c{i}": (6,), f"w{i}": (6, 4), f"a{i}": (4,), f"b{i}": (4,)}
    body += " m3 = Mul(h2, a3) n3 = Add(m3, b3) y = MatMul(n3, head)"
    return build(SIGNATURE, body, **weights)


def post_norm() -> ir.Model:
    """norm(x + f(x)), three times; the last makes the output."""
    body, weights = "h0 = MatMul(x, w0)", {"w0": (4, 4)}
    for i in (1, 2, 3):
        name = "y" if i == 3 else f"h{i}"
        body += f""" f{i} = MatMul(h{i - 1}, v{i}) g{i} = Relu(f{i}) p{i} = MatMul(g{i}, w{i})
                     s{i} = Add(h{i - 1}, p{i}) m{i} = Mul(s{i}, a{i}) {name} = Add(m{i}, b{i})"""
        weights |= {f"v{i}": (4, 6), f"w{i}": (6, 4), f"a{i}": (4,), f"b{i}": (4,)}
    return build("float[B,3,4] x => float[B,3,4] y", body, **weights)


@pytest.mark.parametrize("network", [pre_norm, post_norm])
def test_every_norm_of_a_network_folds(network: Any) -> None:
    folded = assert_folds(network())
    assert len(folded.report.folded) == 3
    assert "Mul" not in operators(folded.model)


@pytest.mark.parametrize("network", [pre_norm, post_norm])
@pytest.mark.parametrize("i", [1, 2, 3])
def test_a_kept_norm_stays_bit_for_bit(network: Any, i: int) -> None:
    model = network()
    folded = fold_and_prove(model, keep=(f"m{i}",))
    kept = folded.report.sites[i - 1]
    assert (kept.status, kept.reason) == ("stayed", "kept, as asked")
    assert any(node.name == kept.node for node in folded.model.graph)
    for name in (f"a{i}", f"b{i}"):
        before, after = (m.graph.initializers[name].const_value for m in (model, folded.model))
        assert before is not None and after is not None and before.tobytes() == after.tobytes()


def test_a_kept_norm_of_a_pre_norm_network_keeps_no_other_from_folding() -> None:
    folded = fold_and_prove(pre_norm(), keep=("m1",))
    assert [site.status for site in folded.report.sites] == ["stayed", "folded", "folded"]


@pytest.mark.parametrize("names", [("norm9",), ("m1", "norm9")])
def test_a_name_that_is_no_norm_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"'norm9' names no norm of this graph \(norms: Mul_1, "):
        fold_graph(pre_norm(), keep=names)
    with pytest.raises(InputError, match="there are none"):
        fold_graph(build(SIGNATURE, "y = MatMul(x, w)", w=(4, 5)), keep=names)


@pytest.mark.parametrize("network", [pre_norm, post_norm])
def test_the_same_input_gives_the_same_bytes_and_report(network: Any) -> None:
    first, second = fold_graph(network()), fold_graph(network())
    assert to_bytes(first.model) == to_bytes(second.model)
    assert first.report.to_json() == second.report.to_json()


def test_a_graph_without_norms_is_left_alone() -> None:
    model = build(SIGNATURE, "p = MatMul(x, w) y = Relu(p)", w=(4, 5))
    folded = fold_and_prove(model)
    assert to_bytes(folded.model) == to_bytes(model)
    assert folded.report.sites == () and folded.report.changes == ()


def test_metadata_doc_strings_opset_and_unread_constants_are_kept() -> None:
    model = build(SIGNATURE, f"{NORM} y = MatMul(n, w)", **WEIGHTS, unread=(3,))
    model.producer_name, model.model_version, model.doc_string = "someone", 7, "a model"
    model.metadata_props["trained"] = "by someone"
    model.graph.doc_string = "a graph"
    model.graph.metadata_props["of"] = "graph"
    matmul = model.graph[-1]
    matmul.metadata_props["of"], matmul.doc_string = "node", "a node"
    model.graph.initializers["w"].metadata_props["of"] = "weight"
    folded = assert_folds(model).model
    assert (folded.producer_name, folded.model_version) == ("someone", 7)
    assert (folded.doc_string, folded.graph.doc_string) == ("a model", "a graph")
    assert folded.metadata_props == {"trained": "by someone"}
    assert folded.graph.metadata_props == {"of": "graph"}
    assert folded.opset_imports == {"": 20}
    assert folded.graph[0].metadata_props == {"of": "node"}
    assert folded.graph[0].doc_string == "a node"
    assert folded.graph.initializers["w"].metadata_props == {"of": "weight"}
    assert "unread" in folded.graph.initializers


def test_layouts_around_a_removed_norm_go_with_it() -> None:
    body = """t = Transpose<perm=[0,2,1]>(x) n = BatchNormalization(t, a, b, mean, avar)
              u = Transpose<perm=[0,2,1]>(n) y = MatMul(u, w)"""
    folded = assert_folds(build(SIGNATURE, body, **WEIGHTS, mean=(4,), avar=(4,)))
    assert operators(folded.model) == ["MatMul", "Add"]
    (cancelled,) = folded.report.cancelled
    assert (cancelled.kept, cancelled.removed) == ("x", "u")


@pytest.mark.parametrize("opset", [20, *range(LAST_OPSET, onnx_opset_version() + 1)])
@pytest.mark.parametrize(
    "body",
    [
        "r = Reshape(x, rows) t = Reshape(r, whole) m = Mul(t, a) n = Add(m, b) y = Relu(n)",
        f"{NORM} r = Reshape(n, rows) t = Reshape(r, whole) y = Relu(t)",
        "f = Flatten(x) s = Shape(x) t = Reshape(f, s) m = Mul(t, a) n = Add(m, b) y = Relu(n)",
    ],
    ids=["in front", "behind", "a Flatten"],
)
def test_layouts_beside_a_norm_that_stays_go_in_every_opset_that_is_known(
    body: str, opset: int
) -> None:
    used = {"rows": [-1, 4], "whole": [2, 3, 4]} if "rows" in body else {}
    signature = "float[2,3,4] x => float[2,3,4] y"
    folded = fold_and_prove(build(signature, body, opset=opset, a=(4,), b=(4,), **used))
    assert len(folded.report.stayed) == 1
    removed = [chain.removed for chain in folded.report.cancelled]
    assert removed == ["t"]


def test_what_the_norms_constants_were_computed_of_goes_with_it() -> None:
    body = """v = Add(var, eps) s = Sqrt(v) d = Div(x, s) m = Mul(d, a) n = Add(m, b)
              y = MatMul(n, w)"""
    constants = {"var": np.float32([1, 2, 3, 4]), "eps": np.array(1e-5, np.float32)}
    folded = assert_folds(build(SIGNATURE, body, **WEIGHTS, **constants))
    assert operators(folded.model) == ["MatMul", "Add"]
    assert set(folded.model.graph.initializers) == {"w", "w_folded_bias"}


def test_a_norms_constant_that_is_an_output_stays() -> None:
    signature = "float[B,3,4] x => float[B,3,5] y, float[4] a"
    folded = assert_folds(build(signature, f"{NORM} y = MatMul(n, w)", **WEIGHTS))
    assert [value.name for value in folded.model.graph.outputs] == ["y", "a"]


def test_one_shape_read_inside_the_norm_stays() -> None:
    body = f"{NORM} s = Shape(m) y = MatMul(n, w)"
    folded = assert_folds(build("float[B,3,4] x => float[B,3,5] y, int64[3] s", body, **WEIGHTS))
    assert operators(folded.model) == ["Shape", "MatMul", "Add"]


def test_a_scale_that_only_has_the_size_of_the_channels_is_not_folded() -> None:
    """Over the width of a square image, (C,) broadcasts along the last axis, not along axis 1."""
    signature = "float[B,4,4,4] x => float[B,5,4,4] y"
    model = build(signature, f"{NORM} y = Conv(n, w)", a=(4,), b=(4,), w=(5, 4, 1, 1))
    assert_stays(model, "vary along axis 3, not only along the channels")


def test_a_norm_of_one_channel_folds() -> None:
    model = build(
        "float[B,3,1] x => float[B,3,5] y", f"{NORM} y = MatMul(n, w)", a=(1,), b=(1,), w=(1, 5)
    )
    folded = assert_folds(model)
    assert operators(folded.model) == ["MatMul", "Add"]


def test_a_norms_output_that_a_body_reads_keeps_its_value() -> None:
    branch = "() => (float[B,3,4] {0}) {{ {0} = {1}(n) }}"
    then, other = branch.format("u", "Neg"), branch.format("v", "Abs")
    choice = f"z = If(c) <then_branch = t {then}, else_branch = e {other}>"
    signature = "float[B,3,4] x, bool c => float[B,3,5] y, float[B,3,4] z"
    forward = build(signature, f"{NORM} {choice} y = MatMul(n, w)", **WEIGHTS)
    assert_stays(forward, "'n' is read inside a control flow body, so its value must stay")
    body = f"h = MatMul(x, v) m = Mul(h, a) n = Add(m, b) {choice} y = MatMul(n, w)"
    backward = build(signature, body, **WEIGHTS, v=(4, 4))
    folded = fold_graph(backward.clone())
    assert len(folded.report.folded) == 1
    assert_equal_in_float32(backward, folded.model)


def assert_equal_in_float32(original: ir.Model, folded: ir.Model) -> None:
    """As any runtime computes it; the float64 reference runs no control flow."""
    feeds = feeds_for(original)
    before, after = (
        ReferenceEvaluator(ir.to_proto(model)).run(None, feeds) for model in (original, folded)
    )
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)


def path_to(model: ir.Model, folder: Path) -> Path:
    ir.save(model, folder / "model.onnx")
    return folder / "model.onnx"


#: (operator, its extra constant): each keeps the shape (2, 3, 4) or permutes it.
BETWEEN = {
    "neg": "Neg({x})",
    "half": "Mul({x}, half)",
    "half_first": "Mul(half, {x})",
    "add": "Add({x}, table)",
    "sub": "Sub(table, {x})",
    "skip": "Add({x}, x)",
    "self": "Add({x}, {x})",
    "identity": "Identity({x})",
    "dropout": "Dropout({x})",
    "flip": "Slice({x}, last, beyond, channel, back)",
    "first_tokens": "Gather<axis=1>({x}, tokens)",
    "channels": "Gather<axis=2>({x}, order)",
    "split_heads_and_merge": "Reshape({x}, same)",
    "relu": "Relu({x})",
    "mask": "Mul({x}, mask)",
    "scale_tokens": "Mul({x}, per_token)",
    "softmax": "Softmax({x})",
}
CONSTANTS: dict[str, Any] = {
    "half": np.array(0.5, np.float32),
    "table": (1, 3, 4),
    "mask": np.float32([1, 0, 1, 1]),
    "per_token": np.float32([[0.5], [1.5], [2.0]]),
    "last": [-1],
    "beyond": [-9],
    "channel": [2],
    "back": [-1],
    "tokens": [2, 0, 1],
    "order": [3, 1, 1, 0],
    "same": [0, 3, -1],
}


@settings(max_examples=120, deadline=None)
@given(
    before=st.lists(st.sampled_from(sorted(BETWEEN)), max_size=3),
    behind=st.lists(st.sampled_from(sorted(BETWEEN)), max_size=4),
    linear=st.booleans(),
)
def test_whatever_stands_around_a_norm_the_outputs_agree(
    before: list[str], behind: list[str], linear: bool
) -> None:
    """Between a linear operator, or the input, and the norm; between the norm and the next."""
    body, last = ("h = MatMul(x, v) ", "h") if linear else ("", "x")
    for index, name in enumerate([*before, "norm", *behind]):
        if name == "norm":
            body += f"m = Mul({last}, a) n = Add(m, b) "
            last = "n"
        else:
            body += f"t{index} = {BETWEEN[name].format(x=last)} "
            last = f"t{index}"
    body += f"y = MatMul({last}, w)"
    used = {name: value for name, value in CONSTANTS.items() if name in body}
    weights: dict[str, Any] = {**WEIGHTS, **used} | ({"v": (4, 4)} if linear else {})
    folded = fold_and_prove(build("float[2,3,4] x => float[2,3,5] y", body, **weights))
    if not set(before + behind) & {"relu", "mask", "scale_tokens", "softmax", "skip", "self"}:
        assert not folded.report.stayed


def test_folding_starts_from_unrounded_numbers() -> None:
    """Two rounds into one weight round once: 0.1 * 3 in float64, then float32."""
    body = "n = Mul(x, a) p = MatMul(n, w) m = Mul(p, d) y = Add(m, b)"
    third = {"a": np.full(4, 0.1, np.float32), "d": np.full(5, 3, np.float32)}
    w = np.full((4, 5), 1 / 3, np.float32)
    folded = assert_folds(build(SIGNATURE, body, w=w, b=(5,), **third))
    exact = np.float64(np.float32(0.1)) * np.float64(np.float32(1 / 3)) * 3
    assert stored(folded.model.graph.initializers["w"])[0, 0] == np.float32(exact)
