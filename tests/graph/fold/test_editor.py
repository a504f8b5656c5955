"""Edits change one use of a constant, remove a site, and leave everything else alone."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tests.support.graphs import NORM, assert_folds, build, operators, stored
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.editor import Editor
from un_deploy.graph.fold.edits import AddBias, Bypass, Change, SetConstant
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules import operator_named

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"


def apply(model: ir.Model, *edits: SetConstant | AddBias | Bypass) -> list[Change]:
    changes, _ = Editor(model, Constants(model), Shapes(model)).apply(edits)
    return changes


def zeros(node: ir.Node, index: int, shape: tuple[int, ...] = (4, 5)) -> SetConstant:
    return SetConstant(node, index, lambda: np.zeros(shape), shape)


def test_a_constant_that_nobody_else_reads_keeps_its_name() -> None:
    model = build(SIGNATURE, "y = MatMul(x, w)", w=(4, 5))
    before = stored(model.graph.initializers["w"])
    (change,) = apply(model, zeros(model.graph[0], 1))
    assert (change.node, change.output, change.old) == ("MatMul_0", "y", "w")
    assert change.before is not None
    np.testing.assert_array_equal(change.before(), before)
    assert not stored(model.graph.initializers["w"]).any()


def test_a_constant_with_other_readers_is_copied() -> None:
    body = "y = MatMul(x, w) z = MatMul(x, w)"
    model = build("float[B,3,4] x => float[B,3,5] y, float[B,3,5] z", body, w=(4, 5))
    model.graph.initializers["w"].metadata_props["note"] = "kept"
    before = stored(model.graph.initializers["w"])
    (change,) = apply(model, zeros(model.graph[0], 1))
    assert change.value.name == "w_folded" and change.old == "w"
    assert change.value.metadata_props["note"] == "kept"
    first, second = (node.inputs[1].name for node in model.graph)
    assert (first, second) == ("w_folded", "w")
    np.testing.assert_array_equal(stored(model.graph.initializers["w"]), before)


def test_a_constant_that_is_an_output_is_copied() -> None:
    model = build("float[B,3,4] x => float[B,3,5] y, float[4,5] w", "y = MatMul(x, w)", w=(4, 5))
    apply(model, zeros(model.graph[0], 1))
    assert stored(model.graph.initializers["w"]).any()
    assert model.graph.outputs[1].name == "w"


def test_a_constant_that_a_body_reads_is_copied() -> None:
    branch = "() => (float[4,5] {0}) {{ {0} = {1}(w) }}"
    then, other = branch.format("u", "Neg"), branch.format("v", "Abs")
    body = f"y = MatMul(x, w) z = If(c) <then_branch = t {then}, else_branch = e {other}>"
    model = build("float[B,3,4] x, bool c => float[B,3,5] y, float[4,5] z", body, w=(4, 5))
    apply(model, zeros(model.graph[0], 1))
    assert stored(model.graph.initializers["w"]).any()


def test_a_new_name_never_hides_an_old_one() -> None:
    body = "w_folded = Neg(x) y = MatMul(w_folded, w) z = MatMul(x, w)"
    model = build("float[B,3,4] x => float[B,3,5] y, float[B,3,5] z", body, w=(4, 5))
    (change,) = apply(model, zeros(model.graph[1], 1))
    assert change.value.name == "w_folded_2"


def test_a_new_name_is_not_one_inside_a_body() -> None:
    branch = "() => (float[2] {0}) {{ {0} = {1}(v) }}"
    then, other = branch.format("w_folded", "Neg"), branch.format("w_folded_2", "Abs")
    body = f"""z = If(c) <then_branch = t {then}, else_branch = e {other}>
               y = MatMul(x, w) k = MatMul(x, w)"""
    outputs = "float[B,3,5] y, float[B,3,5] k, float[2] z"
    model = build(f"float[B,3,4] x, float[2] v, bool c => {outputs}", body, w=(4, 5))
    (change,) = apply(model, zeros(model.graph[1], 1))
    assert change.value.name == "w_folded_3"


def bias_of_ones(node: ir.Node) -> AddBias:
    return AddBias(node, operator_named(node.op_type), lambda: np.ones(5), (5,))


def test_the_bias_of_a_matmul_is_an_add_that_takes_over_its_name() -> None:
    model = build("float[B,3,4] x => float[B,3,5] y", "y = MatMul(x, w)", w=(4, 5))
    (change,) = apply(model, bias_of_ones(model.graph[0]))
    matmul, add = model.graph
    assert operators(model) == ["MatMul", "Add"] and change.added is add
    assert [value.name for value in add.inputs] == ["y_unbiased", "w_folded_bias"]
    assert model.graph.outputs[0] is add.outputs[0]
    assert add.outputs[0].name == "y"
    assert str(add.outputs[0].shape) == "[B,3,5]"
    assert change.old is None and change.output == "y"
    assert matmul.outputs[0].name == "y_unbiased"


def test_the_bias_of_a_gemm_or_conv_is_its_third_input() -> None:
    gemm = build("float[B,4] x => float[B,5] y", "y = Gemm(x, w)", w=(4, 5))
    apply(gemm, bias_of_ones(gemm.graph[0]))
    assert [value.name for value in gemm.graph[0].inputs] == ["x", "w", "w_folded_bias"]
    conv = build("float[B,4,6] x => float[B,5,6] y", "y = Conv(x, w)", w=(5, 4, 1))
    apply(conv, bias_of_ones(conv.graph[0]))
    assert stored(conv.graph.initializers["w_folded_bias"]).tolist() == [1] * 5


def test_a_bias_has_the_type_of_its_weight() -> None:
    signature = "float16[B,4] x => float16[B,5] y"
    model = build(signature, "y = MatMul(x, w)", dtype=np.float16, w=(4, 5))
    apply(model, AddBias(model.graph[0], operator_named("MatMul"), lambda: np.ones(5) / 3, (5,)))
    bias = model.graph.initializers["w_folded_bias"].const_value
    assert bias is not None and bias.dtype == ir.DataType.FLOAT16
    assert bias.numpy()[0] == np.float16(1 / 3)


def sites_of(model: ir.Model) -> list[Bypass]:
    return [Bypass(site) for site in GraphView(model, Constants(model), Shapes(model)).sites]


def test_readers_of_a_removed_site_read_its_input() -> None:
    body = f"{NORM} s = Shape(m) y = MatMul(n, w) z = Relu(n)"
    signature = "float[B,3,4] x => float[B,3,5] y, float[B,3,4] z, int64[3] s"
    model = build(signature, body, a=(4,), b=(4,), w=(4, 5))
    apply(model, *sites_of(model))
    assert operators(model) == ["Shape", "MatMul", "Relu"]
    assert all(node.inputs[0].name == "x" for node in model.graph)


def test_a_removed_site_at_an_output_leaves_its_name_type_and_shape() -> None:
    body = "h = Relu(x) m = Mul(h, a) y = Add(m, b)"
    model = build("float[B,3,4] x => float[B,3,4] y", body, a=(4,), b=(4,))
    apply(model, *sites_of(model))
    (output,) = model.graph.outputs
    assert output.producer().op_type == "Relu"
    assert (output.name, str(output.dtype), str(output.shape)) == ("y", "FLOAT", "[B,3,4]")


def test_sites_in_a_row_are_removed_together() -> None:
    body = "h = Relu(x) n = Mul(h, a) p = Mul(n, a2) q = Mul(n, a3) y = Max(p, q)"
    model = build("float[B,3,4] x => float[B,3,4] y", body, a=(4,), a2=(4,), a3=(4,))
    edits = sites_of(model)
    assert len(edits) == 3
    apply(model, *edits)
    assert operators(model) == ["Relu", "Max"]
    assert all(value is model.graph[0].outputs[0] for value in model.graph[1].inputs)


def test_norms_in_a_row_fold_into_each_reader() -> None:
    body = "n = Mul(x, a) p = Mul(n, a2) q = Mul(n, a3) y = MatMul(p, w) z = MatMul(q, w)"
    signature = "float[B,3,4] x => float[B,3,5] y, float[B,3,5] z"
    folded = assert_folds(build(signature, body, a=(4,), a2=(4,), a3=(4,), w=(4, 5)))
    assert operators(folded.model) == ["MatMul", "MatMul"]


def test_one_weight_behind_equal_and_different_gauges() -> None:
    body = f"""{NORM} k = Mul(x, a2) y = MatMul(n, w) z = MatMul(n, w) o = MatMul(k, w)
               q = MatMul(x, w)"""
    outputs = ", ".join(f"float[B,3,5] {name}" for name in "yzoq")
    model = build(f"float[B,3,4] x => {outputs}", body, a=(4,), b=(4,), a2=(4,), w=(4, 5))
    before = stored(model.graph.initializers["w"])
    folded = assert_folds(model)
    read = {n.outputs[0].name: n.inputs[1] for n in folded.model.graph if n.op_type == "MatMul"}
    np.testing.assert_array_equal(stored(read["q"]), before)
    weights = {name: stored(value) for name, value in read.items()}
    np.testing.assert_array_equal(weights["y_unbiased"], weights["z_unbiased"])
    assert not np.array_equal(weights["o"], weights["y_unbiased"])


def test_nodes_without_names_or_with_one_name() -> None:
    body = f"{NORM} y = MatMul(n, w) z = MatMul(n, v)"
    signature = "float[B,3,4] x => float[B,3,5] y, float[B,3,5] z"
    for name in ("", "same", None):
        model = build(signature, body, a=(4,), b=(4,), w=(4, 5), v=(4, 5))
        for node in model.graph:
            node.name = name
        folded = assert_folds(model)
        added = [node.name for node in folded.model.graph if node.op_type == "Add"]
        assert len(set(added)) == 2 and "None" not in "".join(added)
