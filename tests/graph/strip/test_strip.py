"""Norms go, each for a stated reason; what may not be one stays, and says so."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnx_ir as ir
import pytest

from tests.graph.analysis.norms.test_written_out import CONSTANTS, KERAS, TORCH
from tests.support.graphs import build, operators, to_bytes
from tests.support.isomorphism import differences
from un_deploy.errors import InputError
from un_deploy.graph.strip.strip import strip, strip_graph

SIGNATURE = "float[B,3,4] x => float[B,3,4] y"
CLASSES = "pkg.torch.onnx.class_hierarchy"
SCOPES = "pkg.torch.onnx.name_scopes"
#: Relu, then a norm or another scale and shift, then a linear operator.
AFFINE = "h = Relu(x) m = Mul(h, a) n = Add(m, b) y = MatMul(n, w)"


def _affine(kind: str | None = None, body: str = AFFINE) -> ir.Model:
    model = build(SIGNATURE, body, a=(4,), b=(4,), w=(4, 4))
    for node in list(model.graph)[1:3]:
        if kind is not None:
            node.metadata_props[CLASSES] = f"['models.Net', '{kind}', 'aten.mul']"
            node.metadata_props[SCOPES] = "['', 'net.norm', 'mul']"
    return model


@pytest.mark.parametrize(
    "body", [TORCH, KERAS, "a = Relu(x) h = LayerNormalization(a, gamma, beta) y = Exp(h)"]
)
def test_layer_normalization_goes_with_its_constants(body: str):
    model = build(SIGNATURE, body, **CONSTANTS)
    # What no operator reads from the start is the user's and stays.
    unread = {n for n, v in model.graph.initializers.items() if not v.uses()}

    report = strip_graph(model)

    assert operators(model) == ["Relu", "Exp"]
    assert set(model.graph.initializers) == unread
    (gone,) = report.stripped
    assert gone.by == "Layer Normalization by its structure"
    assert report.left == ()
    assert report.operators_before - report.operators_after == len(gone.operators)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)


@pytest.mark.parametrize(
    "kind", ["un_deploy.nn.unified_norm.UnifiedNorm", "released.UN1d", "x.UN", "x.MyRMSNorm"]
)
def test_an_affine_goes_when_its_class_is_a_norm(kind: str):
    model = _affine(kind)
    report = strip_graph(model)
    assert operators(model) == ["Relu", "MatMul"]
    assert set(model.graph.initializers) == {"w"}
    (gone,) = report.stripped
    assert (gone.by, gone.label, gone.operators) == (f"class {kind}", "net.norm", ("Mul", "Add"))


@pytest.mark.parametrize(
    "kind", [None, "timm.layers.LayerScale", "torch.nn.modules.batchnorm.BatchNorm2d", "x.Fun"]
)
def test_any_other_affine_stays_with_the_reason(kind: str | None):
    model = _affine(kind)
    before = to_bytes(model)
    report = strip_graph(model)
    assert to_bytes(model) == before
    assert report.stripped == ()
    assert [left.operators for left in report.left] == [("Mul", "Add")]
    assert "name it to take it out" in report.left[0].reason


def test_the_scale_behind_a_norm_stays_when_only_the_norm_is_one():
    body = "h = Relu(x) m = Mul(h, a) n = Add(m, b) l = Mul(n, a) y = MatMul(l, w)"
    model = _affine("x.UnifiedNorm", body)
    report = strip_graph(model)
    assert operators(model) == ["Relu", "Mul", "MatMul"]
    assert [gone.operators for gone in report.stripped] == [("Mul", "Add")]
    assert [left.operators for left in report.left] == [("Mul",)]


@pytest.mark.parametrize("name", ["Mul_1", "Add_2", "n"])
def test_a_norm_is_named_by_any_operator_of_it_or_an_output(name: str):
    model = _affine()
    report = strip_graph(model, nodes=[name])
    assert operators(model) == ["Relu", "MatMul"]
    assert [gone.by for gone in report.stripped] == ["name"]


def test_names_take_nothing_else():
    body = "h = LayerNormalization(x, a) m = Mul(h, a) r = Relu(m) y = LayerNormalization(r, a)"
    model = build(SIGNATURE, body, a=(4,))
    report = strip_graph(model, nodes=["LayerNormalization_3"])
    assert operators(model) == ["LayerNormalization", "Mul", "Relu"]
    assert [left.reason for left in report.left] == ["it is not among the named ones"] * 2


def test_a_name_that_is_no_norm_is_refused():
    model = _affine("x.UnifiedNorm")
    before = to_bytes(model)
    with pytest.raises(InputError, match=r"'MatMul_3' is no norm of this model; it has: net\.norm"):
        strip_graph(model, nodes=["n", "MatMul_3"])
    assert to_bytes(model) == before


def test_a_norm_whose_mean_is_read_stays():
    body = "n, m = LayerNormalization(x, a) y = Mul(n, m)"
    model = build(SIGNATURE, body, a=(4,))
    assert [left.reason for left in strip_graph(model).left] == [
        "its mean or deviation is read too"
    ]
    with pytest.raises(InputError, match="cannot be taken out: its mean"):
        strip_graph(model, nodes=["n"])


def _output(model: ir.Model) -> tuple[str | None, ir.Shape | None]:
    (value,) = model.graph.outputs
    return value.name, value.shape


def test_a_norm_at_the_end_hands_its_name_to_what_it_read():
    model = build(
        "float[B,3,4] x => float[B,T,4] y", "h = Relu(x) y = LayerNormalization(h, a)", a=(4,)
    )
    strip_graph(model)
    assert operators(model) == ["Relu"]
    assert _output(model) == ("y", ir.Shape(["B", "T", 4]))
    onnx.checker.check_model(ir.to_proto(model))


@pytest.mark.parametrize("outputs", ["float[B,3,4] y", "float[B,3,4] h, float[B,3,4] y"])
def test_an_input_or_output_keeps_its_own_name(outputs: str):
    body = (
        "h = Relu(x) y = LayerNormalization(h, a)"
        if "h" in outputs
        else "y = LayerNormalization(x, a)"
    )
    model = build(f"float[B,3,4] x => {outputs}", body, a=(4,))
    strip_graph(model)
    assert operators(model)[-1] == "Identity"
    assert [value.name for value in model.graph.outputs][-1] == "y"
    onnx.checker.check_model(ir.to_proto(model))


def test_norms_in_a_row_all_go():
    body = """h = LayerNormalization(x, a) i = LayerNormalization(h, a) r = Relu(i)
        y = LayerNormalization(r, a)"""
    model = build(SIGNATURE, body, a=(4,))
    assert len(strip_graph(model).stripped) == 3
    assert operators(model) == ["Relu"]
    onnx.checker.check_model(ir.to_proto(model))


def test_layout_round_a_norm_goes_with_it():
    body = """h = Relu(x) t = Transpose<perm = [0, 2, 1]>(h) u = Unsqueeze(t, three)
        d = Div(u, a) m = Mul(a, d) n = Add(m, a)
        v = Squeeze(n, three) s = Transpose<perm = [0, 2, 1]>(v) y = MatMul(s, w)"""
    model = build(SIGNATURE, body, a=(1, 4, 1, 1), w=(4, 4), three=[3])
    for node in list(model.graph)[3:6]:
        node.metadata_props[CLASSES] = "['models.Net', 'released.UN1d', 'aten.mul']"
    report = strip_graph(model)
    assert operators(model) == ["Relu", "MatMul"]
    assert len(report.cancelled) == 1


def test_every_kind_comes_back_as_it_was_and_is_not_changed(tmp_path):
    proto = ir.to_proto(_affine())
    onnx.save(proto, tmp_path / "a.onnx")
    for given, kind in (
        (tmp_path / "a.onnx", ir.Model),
        (proto, onnx.ModelProto),
        (ir.from_proto(proto), ir.Model),
        (gs.import_onnx(proto), gs.Graph),
    ):
        stripped, report = strip(given, nodes=["n"])
        assert isinstance(stripped, kind)
        assert len(report.stripped) == 1
    assert onnx.load(tmp_path / "a.onnx") == proto


def test_the_report_is_plain_data():
    report = strip_graph(_affine("x.UnifiedNorm"))
    told = json.loads(json.dumps(report.to_dict()))
    assert told["version"] == 1
    assert told["stripped"][0]["node"] == "Add_2"


@pytest.mark.torch
class TestExports:
    """A stripped network is the network without norms, operator by operator."""

    @staticmethod
    def _exported(norm: str, exporter: str, opset: int = 20, *, dynamic: bool = True) -> ir.Model:
        from models.vit import vit_micro
        from tests.support.networks.exports import exported

        return exported(vit_micro, norm, dynamic, exporter, opset=opset)

    @pytest.mark.parametrize(
        ("norm", "by"),
        [
            ("ln", "Layer Normalization by its structure"),
            ("un", "class un_deploy.nn.unified_norm.UnifiedNorm"),
            ("released", "class tests.support.released_norm.ReleasedStyleNorm"),
        ],
    )
    def test_dynamo(self, norm: str, by: str):
        dynamic = norm == "un"  # exports that other tests make too
        model = self._exported(norm, "dynamo", dynamic=dynamic)
        report = strip_graph(model)
        names = [f"blocks.{block}.norm{n}" for block in range(4) for n in (1, 2)]
        assert [(gone.label, gone.by) for gone in report.stripped] == [
            *((name, by) for name in names),
            ("norm", by),
        ]
        assert report.left == ()
        assert differences(model, self._exported("none", "dynamo", dynamic=dynamic)) == []

    @pytest.mark.parametrize(
        ("norm", "opset"), [("ln", 16), ("ln", 20), ("un", 20), ("released", 20)]
    )
    def test_torchscript(self, norm: str, opset: int):
        """It writes Layer Normalization out before opset 17, and it names no class."""
        model = self._exported(norm, "torchscript", opset)
        names = [f"blocks.{block}.norm{n}" for block in range(4) for n in (1, 2)] + ["norm"]
        if norm == "ln":
            report = strip_graph(model)
        else:
            assert strip_graph(model.clone()).stripped == ()
            report = strip_graph(model, nodes=names)
        assert [gone.label for gone in report.stripped] == names or opset == 16
        assert len(report.stripped) == 9 and report.left == ()
        assert differences(model, self._exported("none", "torchscript", opset)) == []


def test_a_stripped_network_computes_what_the_rest_computes():
    from tests.support.float64 import run
    from un_deploy.graph.analysis.floating import widen

    model = _affine("x.UnifiedNorm")
    strip_graph(model)
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    w = model.graph.initializers["w"].const_value
    assert w is not None
    got = run(model, {"x": x}, lambda value: widen(value.const_value.numpy()))
    np.testing.assert_allclose(got["y"], np.maximum(x, 0) @ w.numpy(), rtol=1e-14)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("y = InstanceNormalization(x, a, b)", "InstanceNorm"),
        ("y = RMSNormalization(x, a)", "RMSNorm"),
    ],
)
def test_norms_of_other_kinds_are_listed_and_stay(body: str, kind: str):
    channels = 3 if kind == "InstanceNorm" else 4
    model = build(SIGNATURE, body, 23, a=(channels,), b=(channels,))
    (left,) = strip_graph(model).left
    assert left.reason.startswith(f"of kind {kind}, which strip leaves: it takes out LayerNorm")
    with pytest.raises(InputError, match=f"cannot be taken out: of kind {kind}, which strip"):
        strip_graph(model, nodes=[left.node])


def test_a_batch_norm_is_called_one():
    norm = "y = BatchNormalization(x, a, b, m, v)"
    model = build(SIGNATURE, norm, **dict.fromkeys("abm", (3,)), v=np.ones(3, np.float32))
    (left,) = strip_graph(model).left
    assert left.reason.startswith("a Batch Normalization mostly belongs to a convolution")


def test_where_nothing_is_a_norm_a_name_is_told_so():
    model = build(SIGNATURE, "y = Relu(x)")
    with pytest.raises(InputError, match="'n' is no norm of this model; nothing in it is a norm"):
        strip_graph(model, nodes=["n"])


@pytest.mark.parametrize(("norm", "gone"), [("n = LayerNormalization(x, a)", 1), ("n = Exp(x)", 0)])
def test_a_quantised_network_is_warned_of(norm: str, gone: int):
    body = f"{norm} k = QuantizeLinear(n, s) y = DequantizeLinear(k, s)"
    report = strip_graph(build(SIGNATURE, body, a=(4,), s=np.array(0.1, np.float32)))
    assert len(report.stripped) == gone
    (note,) = report.notes
    assert note.startswith("the network is quantised (1 QuantizeLinear, 1 DequantizeLinear): norms")
    assert ("calibrated on what it normalised" in note) == bool(gone)
    assert strip_graph(_affine()).notes == ()
