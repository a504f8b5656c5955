"""What a node and a layer are, in small graphs and in whole networks."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir
import pytest

from tests.graph.analysis.norms.test_written_out import CONSTANTS, TORCH
from tests.support.graphs import NORM, build
from un_deploy.graph.fold.rules import operators
from un_deploy.measure.speed.layers.groups import _OF_RUNTIMES, _STRONGEST, layer_group, node_groups
from un_deploy.measure.speed.layers.variant_layers import GROUPS, Group

QKV = "float[2,3,4] q, float[2,4,3] k, float[2,3,4] v"


def of(model: ir.Model, group: Group) -> list[str]:
    return [name for name, found in node_groups(model).items() if found == group]


def test_every_group_is_ranked_and_no_operator_is_in_two() -> None:
    assert {*_STRONGEST, "other"} == set(GROUPS)
    names = [name.lower() for name in operators()]
    names += [name.lower() for names in _OF_RUNTIMES.values() for name in names.split()]
    assert len(names) == len(set(names))


def test_attention_is_all_between_its_products_that_leads_to_a_softmax() -> None:
    model = build(
        f"{QKV}, float[2,3,3] mask => float[2,3,5] y",
        "p = MatMul(q, k)  s = Mul(p, c)  m = Add(s, mask)  w = Softmax(m)  z = Cast <to = 1> (w)"
        "  a = MatMul(z, v)  y = MatMul(a, o)",
        c=(1,),
        o=(4, 5),
    )
    assert of(model, "attention") == [
        *("MatMul_0", "Mul_1", "Add_2", "Softmax_3", "Cast_4", "MatMul_5")
    ]
    assert of(model, "products") == ["MatMul_6"]


def test_the_way_of_the_values_is_no_attention() -> None:
    model = build(
        f"{QKV} => float[2,3,4] y",
        "h = MatMul(v, o)  b = Add(h, c)  t = Transpose <perm = [0, 1, 2]> (b)  p = MatMul(q, k)"
        "  s = Softmax(p)  y = MatMul(s, t)",
        o=(4, 4),
        c=(4,),
    )
    assert of(model, "attention") == ["MatMul_3", "Softmax_4", "MatMul_5"]
    assert of(model, "layout") == ["Transpose_2"]


def test_the_softmax_of_a_classifier_is_an_activation() -> None:
    model = build("float[2,4] x => float[2,3] y", "h = MatMul(x, w)  y = Softmax(h)", w=(4, 3))
    assert node_groups(model) == {"MatMul_0": "products", "Softmax_1": "activation"}


def test_a_weight_that_is_an_input_with_a_default_is_stored_all_the_same() -> None:
    model = build("float[2,4] x => float[2,3] y", "y = MatMul(x, w)", w=(4, 3))
    model.graph.inputs.append(model.graph.initializers["w"])
    assert node_groups(model) == {"MatMul_0": "products"}


def test_scale_and_shift_of_a_norm_are_normalization_and_a_bias_is_not() -> None:
    model = build(
        "float[2,3,4] x => float[2,3,5] y",
        f"{NORM}  h = MatMul(n, w)  g = Add(h, c)  y = Mul(g, half)",
        a=(4,),
        b=(4,),
        w=(4, 5),
        c=(5,),
        half=(1,),
    )
    assert of(model, "normalization") == ["Mul_0", "Add_1"]
    assert of(model, "elementwise") == ["Add_3", "Mul_4"]


def test_layer_normalization_in_its_parts_is_normalization() -> None:
    model = build("float[B,3,4] x => float[B,3,4] y", TORCH, **CONSTANTS)
    around = {node.name for node in model.graph if node.op_type in ("Relu", "Abs", "Exp")}
    assert set(node_groups(model)) - set(of(model, "normalization")) == around


def test_what_no_group_holds_is_not_assigned() -> None:
    model = build("float[2,4] x => float[2,4] y", "h = CumSum(x, i)  y = Neg(h)", i=1)
    assert node_groups(model) == {"CumSum_0": "other", "Neg_1": "elementwise"}


def test_a_node_without_a_name_is_called_by_its_output() -> None:
    model = build("float[2,4] x => float[2,4] y", "y = Tanh(x)")
    for node in model.graph:
        node.name = None
    assert node_groups(model) == {"y": "activation"}


NODES: dict[str, Group] = {
    "qk": "attention",
    "softmax": "attention",
    "fc": "products",
    "bias": "elementwise",
    "norm": "normalization",
    "erf": "activation",
    "reshape": "layout",
    "cumsum": "other",
}


@pytest.mark.parametrize(
    ("kind", "nodes", "group"),
    [
        ("Gemm", ["fc", "bias"], "products"),
        ("linear", ["fc", "bias"], "products"),  # torch's name: what it computes tells
        ("FusedMatMul", ["reshape", "qk"], "attention"),
        ("scaled_dot_product_attention", ["qk", "softmax"], "attention"),
        ("SkipLayerNormalization", ["bias", "norm"], "normalization"),
        ("Mul", ["norm"], "normalization"),
        ("Mul", ["bias"], "elementwise"),
        ("Add", ["fc", "bias"], "elementwise"),  # a product that another layer computes
        ("Gelu", ["bias", "erf"], "activation"),
        ("Transpose", ["fc"], "layout"),  # that a runtime put before a product
        ("ReorderInput", [], "layout"),
        ("kgen", ["norm", "bias"], "normalization"),
        ("kgen", ["fc", "norm", "bias"], "products"),  # TensorRT fused a norm into a product
        ("gemm", [], "products"),
        ("kgen", [], "other"),
        ("kgen", ["cumsum"], "other"),
        ("kgen", ["of another graph"], "other"),
        ("", [], "other"),
    ],
)
def test_layers(kind: str, nodes: list[str], group: Group) -> None:
    assert layer_group(kind, nodes, NODES) == group


@pytest.mark.torch
@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_networks_have_norms_where_they_should(slow: bool) -> None:
    pytest.importorskip("torch")
    from models.recipes import MICRO
    from tests.support.networks.cases import graph_of
    from tests.support.networks.exports import EXPORTS_OF, FORMS

    names = ["nmt_micro_step"] if slow else [name for name in MICRO if not MICRO[name].slow]
    for recipe in map(MICRO.__getitem__, names):
        made = {form: graph_of(recipe, form, *EXPORTS_OF[form][0]) for form in FORMS}
        groups = {form: node_groups(made[form]) for form in FORMS}
        counts = {form: Counter(groups[form].values()) for form in FORMS}
        norms = sum(node.op_type == "LayerNormalization" for node in made["ln"].graph)
        assert norms > 0
        assert counts["ln"]["normalization"] == norms
        assert counts["un"]["normalization"] == 2 * norms  # a scale and a shift
        assert counts["folded"]["normalization"] == counts["none"]["normalization"] == 0
        for form in FORMS:
            assert counts[form]["attention"] == counts["none"]["attention"]
            assert (counts[form]["attention"] > 0) == (recipe.layers["attention"] > 0)
            assert counts[form]["products"] == counts["none"]["products"] > 0
            others = {
                node.op_type for node in made[form].graph if groups[form][node.name] == "other"
            }
            assert others <= {"ReduceSum"}  # of a performer's features
