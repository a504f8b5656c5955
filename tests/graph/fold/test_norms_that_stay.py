"""A norm that measures its input keeps its scale and shift, by which runtimes recognise it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.support.graphs import build, fold_and_prove, operators
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.model.model_file import save_model

STAYS = (
    "belongs to a written-out {}, which runtimes recognise by it; "
    "fold_norm_affine=True lets it fold"
)
CHANNELS = 8

CENTRED = "mean{i} = ReduceMean(f{i}, axes) d{i} = Sub(f{i}, mean{i}) "
POW = "q{i} = Pow(d{i}, two) "
DEVIATION = "v{i} = ReduceMean(q{i}, axes) e{i} = Add(v{i}, eps) s{i} = Sqrt(e{i}) "
AFFINE = "g{i} = Mul(z{i}, gamma{i}) n{i} = Add(g{i}, beta{i}) "
RMS = "q{i} = Pow(f{i}, two) v{i} = ReduceMean(q{i}, axes) e{i} = Add(v{i}, eps) s{i} = Sqrt(e{i}) "
KERAS = (
    CENTRED
    + "q{i} = Mul(d{i}, d{i}) "
    + DEVIATION
    + "r{i} = Reciprocal(s{i}) k{i} = Mul(r{i}, gamma{i}) c{i} = Mul(f{i}, k{i}) "
    "o{i} = Mul(mean{i}, k{i}) t{i} = Sub(beta{i}, o{i}) n{i} = Add(c{i}, t{i}) "
)

#: From f to n, the norm of block i; and what it is.
FORMS = {
    "PyTorch": (CENTRED + POW + DEVIATION + "z{i} = Div(d{i}, s{i}) " + AFFINE),
    "square by Mul": (
        CENTRED + "q{i} = Mul(d{i}, d{i}) " + DEVIATION + "z{i} = Div(d{i}, s{i}) " + AFFINE
    ),
    "centred twice": (
        CENTRED + POW + DEVIATION + "j{i} = Sub(f{i}, mean{i}) z{i} = Div(j{i}, s{i}) " + AFFINE
    ),
    "Reciprocal": (
        CENTRED + POW + DEVIATION + "r{i} = Reciprocal(s{i}) z{i} = Mul(d{i}, r{i}) " + AFFINE
    ),
    "Keras": KERAS,
    "RMSNorm": RMS + "z{i} = Div(f{i}, s{i}) n{i} = Mul(z{i}, gamma{i}) ",
    "RMSNorm with a Reciprocal": (
        RMS + "r{i} = Reciprocal(s{i}) z{i} = Mul(f{i}, r{i}) n{i} = Mul(gamma{i}, z{i}) "
    ),
}


def network(form: str, dtype: type = np.float32) -> ir.Model:
    """Two blocks of norm, linear layer, Tanh, a scale and shift that folds, linear layer, sum.

    In float16 each norm is computed in float32, with its scale and shift in float16 behind it.
    """
    kind = "float" if dtype is np.float32 else "float16"
    text, weights, x = "", {}, "x"
    for i in range(2):
        norm = FORMS[form].replace("{i}", str(i))
        if dtype is np.float32:
            text += f"f{i} = Identity({x}) " + norm
        else:
            norm = re.sub(rf"(z{i} = \w+\([^)]*\)) ", rf"\1 h{i} = Cast<to = 10>(z{i}) ", norm)
            norm = norm.replace(f"Mul(z{i}", f"Mul(h{i}").replace(f", z{i})", f", h{i})")
            text += f"f{i} = Cast<to = 1>({x}) " + norm
        text += (
            f"p{i} = MatMul(n{i}, win{i}) th{i} = Tanh(p{i}) m{i} = Mul(th{i}, a{i}) "
            f"u{i} = Add(m{i}, b{i}) l{i} = MatMul(u{i}, wout{i}) x{i} = Add({x}, l{i}) "
        )
        x = f"x{i}"
        for name in (f"gamma{i}", f"beta{i}", f"a{i}", f"b{i}"):
            weights[name] = (CHANNELS,)
        weights |= {f"win{i}": (CHANNELS, CHANNELS), f"wout{i}": (CHANNELS, CHANNELS)}
    return build(
        f"{kind}[B,5,{CHANNELS}] x => {kind}[B,5,{CHANNELS}] y",
        text + f"y = Identity({x})",
        dtype=dtype,
        axes=[-1],
        two=np.array(2, np.float32),
        eps=np.array(1e-5, np.float32),
        **weights,
    )


def fused(model: ir.Model, folder: Path) -> int:
    """The LayerNormalizations that ONNX Runtime makes of a network."""
    ort = pytest.importorskip("onnxruntime")
    source, target = folder / "given.onnx", folder / "optimised.onnx"
    save_model(model, source, force=True)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(target)
    ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    counts = Counter(node.op_type for node in onnx.load(str(target)).graph.node)
    return sum(count for name, count in counts.items() if "LayerNorm" in name)


def by_node(folded: Folded) -> dict[str, str]:
    return {site.node: site.reason for site in folded.report.sites}


#: Those that ONNX Runtime has a fusion for, on a CPU.
FUSED = ("PyTorch", "centred twice", "RMSNorm")


@pytest.mark.parametrize("form", FORMS)
def test_onnx_runtime_fuses_as_many_norms_as_before(form: str, tmp_path: Path) -> None:
    model = network(form)
    folded = fold_and_prove(model, eps=2.0**-18)
    assert len(folded.report.folded) == 2
    before, after = (fused(one, tmp_path) for one in (model, folded.model))
    assert before == after
    assert before == 2 or form not in FUSED


@pytest.mark.parametrize("form", [form for form in FORMS if form != "Keras"])
def test_and_in_float16_with_casts_around_it(form: str, tmp_path: Path) -> None:
    model = network(form, np.float16)
    folded = fold_graph(model.clone())
    assert len(folded.report.folded) == 2
    before, after = (fused(one, tmp_path) for one in (model, folded.model))
    assert before == after
    assert before == 2 or form not in FUSED


@pytest.mark.parametrize("form", FORMS)
def test_the_report_says_what_stays_and_why(form: str) -> None:
    kind = "RMSNorm" if "RMS" in form else "LayerNormalization"
    report = fold_graph(network(form)).report
    assert [norm.kind for norm in report.measuring] == [kind, kind]
    reasons = [] if form == "Keras" else [STAYS.format(kind)] * 2
    assert [site.reason for site in report.stayed] == reasons
    assert [norm.untried_affine for norm in report.measuring] == [form != "Keras"] * 2


@pytest.mark.parametrize("form", [form for form in FORMS if form != "Keras"])
def test_where_asked_its_scale_and_shift_fold_too(form: str) -> None:
    folded = fold_and_prove(network(form), fold_norm_affine=True, eps=2.0**-18)
    assert len(folded.report.folded) == 4 and not folded.report.stayed
    assert not any(norm.untried_affine for norm in folded.report.measuring)


NORM = (CENTRED + POW + DEVIATION + "z{i} = Div(d{i}, s{i}) " + AFFINE).replace("{i}", "")
CONSTANTS = {
    "axes": [-1], "two": np.array(2, np.float32), "eps": np.array(1e-5, np.float32),
    "gamma": (4,), "beta": (4,), "a": (4,), "b": (4,), "w": (4, 5),
}  # fmt: skip


def test_a_scale_and_shift_behind_the_norm_s_own_fold() -> None:
    body = NORM + "m = Mul(n, a) t = Add(m, b) y = MatMul(t, w)"
    folded = fold_and_prove(build("float[B,3,4] f => float[B,3,5] y", body, **CONSTANTS))
    assert by_node(folded) == {"Add_8": STAYS.format("LayerNormalization"), "Add_10": ""}
    assert operators(folded.model)[-4:] == ["Div", "Mul", "Add", "MatMul"]


def test_a_batch_normalization_behind_the_norm_s_own_folds() -> None:
    body = (
        NORM
        + "r = Transpose<perm=[0,2,1]>(n) t = BatchNormalization(r, a, b, mu, var) y = Conv(t, w)"
    )
    constants = {**CONSTANTS, "w": (5, 4, 1), "mu": (4,), "var": np.ones(4, np.float32)}
    folded = fold_and_prove(build("float[B,3,4] f => float[B,5,3] y", body, **constants))
    assert [site.status for site in folded.report.sites] == ["stayed", "folded"]


def test_what_has_nowhere_else_to_go_is_taken_in_by_the_norm_s_own() -> None:
    """Its operators are the same ones, with other numbers."""
    body = NORM + "m = Mul(n, a) t = Add(m, b) y = Tanh(t)"
    folded = fold_and_prove(build("float[B,3,4] f => float[B,3,4] y", body, **CONSTANTS))
    assert [site.status for site in folded.report.sites] == ["stayed", "folded"]
    assert operators(folded.model)[-4:] == ["Div", "Mul", "Add", "Tanh"]


def test_nothing_passes_into_a_norm() -> None:
    """One number for all channels could go through its mean, and its operators change."""
    body = "h = MatMul(x, k) f = Mul(h, half) " + NORM + "y = MatMul(n, w)"
    model = build(
        "float[B,3,4] x => float[B,3,5] y", body, **CONSTANTS, k=(4, 4),
        half=np.array(0.5, np.float32),
    )  # fmt: skip
    folded = fold_and_prove(model)
    core = [node for node in folded.model.graph if node.op_type in ("ReduceMean", "Sqrt", "Div")]
    assert [node.op_type for node in core] == ["ReduceMean", "ReduceMean", "Sqrt", "Div"]


def test_a_scale_and_shift_of_another_module_are_not_the_norm_s() -> None:
    model = build("float[B,3,4] f => float[B,3,5] y", NORM + "y = MatMul(n, w)", **CONSTANTS)
    for node in model.graph:
        module = "scale" if node.op_type in ("Mul", "Add") and node.name != "Add_4" else "norm"
        node.name = f"/block/{module}/{node.name}"
    (site,) = fold_and_prove(model).report.sites
    assert site.status == "folded"


FLAX = """
    mean = ReduceMean(f, axes) square = Mul(f, f) of_square = ReduceMean(square, axes)
    of_mean = Mul(mean, mean) v = Sub(of_square, of_mean) e = Add(v, eps) s = Sqrt(e)
    r = Reciprocal(s) k = Mul(r, gamma) d = Sub(f, mean) z = Mul(d, k) n = Add(z, beta)
"""


@pytest.mark.parametrize("asked", [False, True])
def test_what_stands_inside_stays_whatever_is_asked(asked: bool) -> None:
    """Flax and Keras multiply the scale into the deviation."""
    model = build("float[B,3,4] f => float[B,3,5] y", FLAX + "y = MatMul(n, w)", **CONSTANTS)
    report = fold_and_prove(model, fold_norm_affine=asked).report
    assert report.folded == ()
    assert [(norm.kind, norm.untried_affine) for norm in report.measuring] == [
        ("LayerNormalization", False)
    ]


RMS_NORM = (RMS + "z{i} = Div(f{i}, s{i}) n{i} = Mul(z{i}, gamma{i}) ").replace("{i}", "")


def behind(norm: str, end: str, signature: str = "float[B,3,4] f => float[B,3,4] y") -> Folded:
    used = {
        name: given for name, given in CONSTANTS.items() if re.search(rf"\b{name}\b", norm + end)
    }
    return fold_and_prove(build(signature, f"{norm} {end}", **used), eps=2.0**-20)


def test_a_written_out_rms_norm_takes_a_scale_in() -> None:
    folded = behind(RMS_NORM, "m = Mul(n, a) y = Tanh(m)")
    assert [site.status for site in folded.report.sites] == ["stayed", "folded"]
    assert operators(folded.model)[-3:] == ["Div", "Mul", "Tanh"]


def test_and_no_shift() -> None:
    folded = behind(RMS_NORM, "m = Mul(n, a) t = Add(m, b) y = Tanh(t)")
    reason = "Mul_5 is a product without a sum that could take in a shift"
    assert reason in by_node(folded)["Add_7"] and not folded.report.folded[1:]


@pytest.mark.parametrize("kind", ["LayerNormalization", "RMSNorm"])
def test_a_norm_written_out_without_a_scale_takes_nothing_in(kind: str) -> None:
    """As of `elementwise_affine=False`: what it measures is a part of the norm."""
    core = (
        NORM.partition("g = ")[0] if kind == "LayerNormalization" else RMS_NORM.partition("n = ")[0]
    )
    folded = behind(core, "o = Neg(z) m = Mul(o, a) t = Add(m, b) y = Tanh(t)")
    (site,) = folded.report.stayed
    reason = "a shift would be multiplied by a tensor"
    assert reason in site.reason
