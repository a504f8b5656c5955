"""Which variants a comparison finds, derives and refuses, and that it runs from end to end."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.graph.analysis.norms.test_written_out import CONSTANTS, TORCH
from tests.support.comparing import compare_here
from tests.support.graphs import build, operators
from un_deploy.arguments.names import as_options
from un_deploy.errors import InputError, MissingPackageError, ThresholdError, VerificationError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import has_external, load_model, save_model
from un_deploy.graph.strip.biases_gained_by_fold import add_biases
from un_deploy.measure.speed.accuracy import require_accuracy
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant_times import Ratio
from un_deploy.pipeline.compare.compare import compare
from un_deploy.pipeline.compare.variants import Network
from un_deploy.runtime.settings import RunSettings

SIGNATURE = "float[batch,3,4] x => float[batch,3,5] y"
LINEAR = "h = MatMul(n, w) y = Add(h, c)"
UN = "m = Mul(x, a) n = Add(m, b) " + LINEAR
LN = "n = LayerNormalization <axis = -1> (x, a, b) " + LINEAR
NONE = LINEAR.replace("MatMul(n", "MatMul(x")


def model(body: str, **other: object) -> ir.Model:
    return build(SIGNATURE, body, **{"a": (4,), "b": (4,), "w": (4, 5), "c": (5,), **other})


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    models = {
        "ln": model(LN),
        "unfolded": model(UN),
        "folded": fold_graph(model(UN)).model,
        "none": model(NONE),
    }
    for kind, made in models.items():
        save_model(made, tmp_path / f"{kind}.onnx")
    return {kind: tmp_path / f"{kind}.onnx" for kind in models}


def network(folder: Path, backend: str = "ort-cpu", **paths: Path) -> Network:
    made = Network(folder / "variants", RunSettings(backend))
    made.folder.mkdir()
    for kind, path in paths.items():
        made.read(kind, path)
    made.derive()
    return made


def told(found: Network) -> dict[str, tuple[bool, int]]:
    return {v.name: (v.derived, v.operators) for v in found.variants}


def test_what_is_not_given_is_derived_and_said_to_be(tmp_path: Path, files: dict) -> None:
    found = network(tmp_path, ln=files["ln"], unfolded=files["unfolded"])
    assert told(found) == {
        "ln": (False, 3),
        "ln, no SkipLayerNormalization": (False, 3),
        "unfolded": (False, 4),
        "folded": (True, 2),
        "none": (True, 2),
    }
    assert found.missing == {}
    assert {v.source for v in found.variants if v.derived} == {
        "un-deploy fold of UN unfolded",
        "un-deploy strip of UN unfolded",
    }


def test_the_fold_is_proven_on_sizes_on_which_the_network_runs(tmp_path: Path) -> None:
    """A dynamic size is first tried with 8; the Reshape wants 32."""
    image = build(
        "float[batch,3,height,width] x => float[batch,4096] y",
        "m = Mul(x, a) n = Add(m, b) c = Conv(n, k) y = Reshape(c, sizes)",
        a=(3, 1, 1),
        b=(3, 1, 1),
        k=(4, 3, 1, 1),
        sizes=[0, 4096],
    )
    save_model(image, tmp_path / "un.onnx")
    found = network(tmp_path, unfolded=tmp_path / "un.onnx")
    assert operators(found.models["folded"]) == ["Conv", "Reshape"]


def test_what_is_given_is_taken_as_it_is(tmp_path: Path, files: dict) -> None:
    found = network(tmp_path, **files)
    assert not any(variant.derived for variant in found.variants)
    for variant in found.variants:
        assert onnx.load(variant.model).graph.node == onnx.load(variant.source).graph.node


def test_a_file_is_not_written_again(tmp_path: Path, files: dict) -> None:
    """Forms that settings alone tell apart are one file, and so is what was given."""
    found = network(tmp_path, ln=files["ln"], unfolded=files["unfolded"])
    made = {v.name: v.model for v in found.variants}
    assert made["ln"] == made["ln, no SkipLayerNormalization"] == str(files["ln"])
    assert made["unfolded"] == str(files["unfolded"])
    written = sorted(path.name for path in found.folder.iterdir())
    assert [made["folded"], made["none"]] == [str(found.folder / name) for name in written]


def test_weights_are_stored_alike_in_all_variants(tmp_path: Path) -> None:
    """A runtime holds them otherwise where they lie in a file of their own."""
    large = build(
        "float[2,64] x => float[2,64] y", "n = Mul(x, a) y = MatMul(n, w)", a=(64,), w=(64, 64)
    )
    ir.save(large, tmp_path / "un.onnx", external_data="un.weights")
    assert (tmp_path / "un.weights").stat().st_size >= 4 * 64 * 64
    found = network(tmp_path, unfolded=tmp_path / "un.onnx")
    assert [v.name for v in found.variants] == ["unfolded", "folded", "none"]
    for variant in found.variants:
        assert Path(variant.model).parent == found.folder
        assert not has_external(load_model(variant.model))


def test_no_norm_comes_from_ln_where_there_is_no_unfolded_graph(
    tmp_path: Path, files: dict
) -> None:
    found = network(tmp_path, ln=files["ln"], folded=files["folded"])
    (none,) = (v for v in found.variants if v.kind == "none")
    assert none.source == "un-deploy strip of LN"
    assert operators(load_model(none.model)) == ["MatMul", "Add"]
    assert found.missing == {"unfolded": "not to be had from a folded file"}
    assert found.notes == ["UN folded is timed as given: there is no unfolded graph to prove it by"]


def test_one_variant_alone_is_refused(tmp_path: Path, files: dict) -> None:
    with pytest.raises(InputError, match="two variants at least; there is only UN folded"):
        network(tmp_path, folded=files["folded"])


def test_a_folded_file_that_is_not_equal_is_refused(tmp_path: Path, files: dict) -> None:
    wrong = load_model(files["folded"])
    weight = wrong.graph.initializers["w"]
    weight.const_value = ir.Tensor(weight.const_value.numpy() * np.float32(1.01), name="w")
    save_model(wrong, files["folded"], force=True)
    with pytest.raises(VerificationError, match="not equal"):
        network(tmp_path, unfolded=files["unfolded"], folded=files["folded"])


def test_a_graph_in_which_nothing_folds_is_refused(tmp_path: Path) -> None:
    stays = build("float[2,4] x => float[2,4] y", "m = Mul(x, a) y = Sigmoid(m)", a=(4,))
    save_model(stays, tmp_path / "un.onnx")
    with pytest.raises(InputError, match="nothing folds in UN unfolded"):
        network(tmp_path, unfolded=tmp_path / "un.onnx")


def test_a_norm_that_stays_is_noted(tmp_path: Path) -> None:
    two = model(
        "m = Mul(x, a) n = Add(m, b) h = MatMul(n, w) g = Add(h, c) s = Sigmoid(g) y = Mul(s, e)",
        e=(5,),
    )
    save_model(two, tmp_path / "un.onnx")
    found = network(tmp_path, unfolded=tmp_path / "un.onnx")
    (note,) = found.notes
    assert note.startswith("the norm Mul_5 stays in UN folded: ")
    assert "Mul" in operators(found.models["none"])  # what the fold leaves, strip leaves


def test_ln_in_its_parts_is_also_taken_as_one_operator(tmp_path: Path) -> None:
    parts = build("float[B,3,4] x => float[B,3,4] y", TORCH, **CONSTANTS)
    for backend, forms in (
        ("ort-cpu", ["", "no SkipLayerNormalization", "norms in their parts"]),
        ("torch", [""]),
    ):
        folder = tmp_path / backend
        folder.mkdir()
        save_model(parts, folder / "ln.onnx")
        found = network(folder, backend, ln=folder / "ln.onnx")
        lns = [v for v in found.variants if v.kind == "ln"]
        assert [v.form for v in lns] == [*forms, "LayerNormalization operator"]
        assert "LayerNormalization" in operators(load_model(lns[-1].model))


def test_layer_norms_that_stay_are_at_their_best_in_every_variant(tmp_path: Path) -> None:
    """Half converted: else LN alone were without a fusion that costs it time."""
    rest = "h = MatMul(n, w) y = LayerNormalization(h, g, o)"
    bodies = {"ln": "n = LayerNormalization(x, a, b)", "unfolded": "m = Mul(x, a) n = Add(m, b)"}
    sizes = {"a": (4,), "b": (4,), "w": (4, 4), "g": (4,), "o": (4,)}
    for kind, body in bodies.items():
        made = build("float[B,3,4] x => float[B,3,4] y", f"{body} {rest}", **sizes)
        save_model(made, tmp_path / f"{kind}.onnx")
    found = network(tmp_path, **{kind: tmp_path / f"{kind}.onnx" for kind in bodies})
    forms = [(v.kind, v.form, v.fusions, v.derived) for v in found.variants]
    for kind, derived in (("ln", False), ("unfolded", False), ("folded", True), ("none", True)):
        assert (kind, "", "all", derived) in forms
        assert (kind, "no SkipLayerNormalization", "no-skip-norm", derived) in forms
    assert len(forms) == 8
    (left,) = found.staying["folded"]
    assert (left.kind, left.label) == ("LayerNormalization", "LayerNormalization_3")
    assert found.staying["none"] == found.staying["unfolded"] == (left,)
    assert len(found.staying["ln"]) == 2


def test_files_of_different_networks_are_refused(tmp_path: Path, files: dict) -> None:
    other = build("float[batch,3,4] z => float[batch,3,4] y", "y = Mul(z, a)", a=(4,))
    save_model(other, tmp_path / "other.onnx")
    found = network(tmp_path, ln=tmp_path / "other.onnx", unfolded=files["unfolded"])
    with pytest.raises(InputError, match=r"is not LN's network: .*inputs"):
        found.feeds(None, None, 0)


def test_sizes_of_dynamic_dimensions(tmp_path: Path, files: dict) -> None:
    found = network(tmp_path, unfolded=files["unfolded"])
    assert found.feeds(None, {"batch": 7}, 0)["x"].shape == (7, 3, 4)
    given = {"x": np.ones((5, 3, 4), np.float32)}
    np.testing.assert_array_equal(found.feeds(given, None, 0)["x"], given["x"])
    with pytest.raises(InputError, match=r"^dims is of random inputs, and inputs gives some"):
        compare(files=files, inputs=given, dims={"batch": 7})


@pytest.mark.parametrize("given", [{}, {"model": "a.py:b", "files": {"ln": "ln.onnx"}}])
def test_a_spec_or_files(given: dict) -> None:
    with pytest.raises(InputError, match="a model spec or files, one of the two"):
        compare(**given)


def test_from_files_to_ratios(files: dict) -> None:
    pytest.importorskip("onnxruntime")
    report = compare(
        files={"ln": files["ln"], "unfolded": files["unfolded"]},
        backend="ort-cpu",
        builds=2,
        rounds=2,
        sample_s=1e-4,
        threads=1,
        dims={"batch": 6},
    )
    assert report.inputs == {"x": (6, 3, 4)}
    assert len(report.timed) == 6
    assert {(r.of, r.to) for r in report.ratios} == {
        ("ln", "folded"),
        ("unfolded", "folded"),
        ("ln", "unfolded"),
        ("folded", "none"),
    }


@pytest.mark.torch
def test_from_a_model_spec_to_ratios() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    checkpoints = {n: f"models/checkpoints/vit_micro_{n}_seed0.pt" for n in ("ln", "un")}
    report = compare(
        "models/vit.py:vit_micro",
        checkpoints=checkpoints,
        backend="torch",
        builds=1,
        rounds=2,
        sample_s=1e-4,
        threads=1,
        profile=True,
    )
    assert report.notes == ()  # both have trained weights
    by_kind = {timed.kind: timed.operators for timed in report.timed}
    assert by_kind["folded"] == by_kind["none"] < by_kind["ln"]
    profiled = {one.kind: one for one in report.layers}
    assert list(profiled) == ["ln", "unfolded", "folded", "none"]
    for kind, one in profiled.items():
        assert one.layers_s == pytest.approx(sum(one.groups_s.values()), rel=1e-12)
        assert one.unassigned == ()
        assert (one.groups_s["normalization"] > 0) == (kind in ("ln", "unfolded"))
        assert one.run_s in {timed.median_s for timed in report.timed if timed.kind == kind}
    assert CompareReport.from_json(report.to_json(), "it") == report


WITHOUT_EXAMPLES = """
from torch import nn

class Net(nn.Sequential):
    def forward(self, tokens): return super().forward(tokens)

def net(norm_layer=nn.LayerNorm):
    return Net(nn.Linear(4, 4), nn.GELU(), norm_layer(4), nn.Linear(4, 2))
"""


@pytest.fixture
def without_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file and its inputs, in the current folder."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    (tmp_path / "net.py").write_text(WITHOUT_EXAMPLES)
    np.savez(tmp_path / "data.npz", tokens=np.ones((3, 7, 4), np.float32))
    monkeypatch.chdir(tmp_path)


@pytest.mark.torch
@pytest.mark.usefixtures("without_examples")
def test_a_spec_is_exported_with_the_inputs() -> None:
    """A network without example inputs needs some; those are the ones that are timed, too."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    few = {"builds": 1, "rounds": 2, "sample_s": 1e-4, "threads": 1, "backend": "ort-cpu"}
    with pytest.raises(InputError, match=r"has no method example_inputs\(\)"):
        compare("net.py:net", **few)  # type: ignore[arg-type]
    report = compare("net.py:net", inputs="data.npz", **few)  # type: ignore[arg-type]
    assert report.inputs == {"tokens": (3, 7, 4)}
    report = compare(
        "net.py:net",
        inputs="data.npz",
        dynamic=False,
        dynamic_axes={"tokens": {1: "length"}},
        exporter="torchscript",
        **few,  # type: ignore[arg-type]
    )
    assert report.inputs == {"tokens": (3, 7, 4)}
    assert {timed.kind for timed in report.timed} == {"ln", "unfolded", "folded", "none"}


@pytest.mark.torch
@pytest.mark.usefixtures("without_examples")
def test_what_was_never_trained_is_said_to_give_no_answers(tmp_path: Path) -> None:
    """Random weights, and a LayerNorm network's in UN, whose statistics it does not have."""
    import torch

    from un_deploy.pipeline.export.model_spec import load_module

    torch.save(load_module("net.py:net").state_dict(), "ln.pt")
    made = Network(tmp_path, RunSettings("ort-cpu"))
    how = {"inputs": "data.npz", "exporter": "torchscript"}
    made.export("net.py:net", "none", checkpoint=None, **how)
    made.export("net.py:net", "un", checkpoint="ln.pt", **how)
    assert made.notes == [
        "net.py:net with none has random weights, so it gives times, not answers",
        "net.py:net with un: the statistics of 1 norm (2) were never updated, so it gives times, "
        "not answers",
    ]
    assert {one.source for one in made.variants} == {"net.py:net with none", "net.py:net with un"}


@pytest.mark.torch
@pytest.mark.usefixtures("without_examples")
def test_checkpoints_of_the_wrong_norm_are_told_by_their_options() -> None:
    import torch

    from un_deploy.pipeline.export.model_spec import load_module

    for norm in ("ln", "un"):
        module = load_module("net.py:net", norm=norm, untrained=True)
        torch.save(module.state_dict(), f"{norm}.pt")
    told = (
        r"^checkpoints\['ln'\] un\.pt is of a network with Unified Normalization, whose statistics "
        r"it holds: it and checkpoints\['un'\] ln\.pt may be swapped$"
    )
    with pytest.raises(InputError, match=told):
        compare("net.py:net", inputs="data.npz", checkpoints={"ln": "un.pt", "un": "ln.pt"})
    with as_options(), pytest.raises(InputError, match=r"--ln-checkpoint .* as --checkpoint$"):
        compare("net.py:net", inputs="data.npz", checkpoints={"ln": "un.pt"})


def test_a_backend_that_tells_no_layers_is_refused_before_anything_is_read() -> None:
    with pytest.raises(InputError, match="torch-compile cannot tell the times of its layers"):
        compare(files={"unfolded": "absent.onnx"}, backend="torch-compile", profile=True)


def test_a_profile_that_fails_leaves_the_times(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")

    def failing(*args: object, **settings: object) -> None:
        raise InputError("the disk is full")

    module = sys.modules["un_deploy.pipeline.compare.compare"]
    monkeypatch.setattr(module, "profile_variants", failing)
    compare_here(monkeypatch)
    few = {"builds": 1, "rounds": 2, "sample_s": 1e-4, "threads": 1}
    report = compare(files=files, backend="ort-cpu", profile=True, **few)  # type: ignore[arg-type]
    assert report.ratios
    assert report.notes == ("the layers are not told: the disk is full",)
    assert report.layers == ()


def test_engines_that_do_not_build_are_refused_before_the_times(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    large = model(UN.replace("w)", "v)"), v=np.full((4, 5), 7e4, np.float32))
    save_model(large, files["unfolded"], force=True)
    monkeypatch.setattr(sys.modules["un_deploy.pipeline.compare.compare"], "compare_variants", None)
    given = {"unfolded": files["unfolded"]}
    with pytest.raises(InputError, match="holds 70000 at"):
        compare(files=given, backend="ort-cpu", engines=True, precision="fp16")


def test_engines_without_their_tensorrt_are_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    given = {"unfolded": "absent.onnx"}
    with pytest.raises(MissingPackageError, match="needs the package tensorrt"):
        compare(files=given, backend="ort-cpu", engines=True, flavor="tensorrt")


@pytest.mark.parametrize(
    "body",
    [
        "m = Mul(x, a) n = Add(m, b) y = MatMul(n, w)",
        "h = MatMul(x, w) m = Mul(h, c) y = Add(m, c)",
    ],
)
def test_gained_biases_are_called_as_no_norm_calls_them(tmp_path: Path, body: str) -> None:
    """Of a norm that writes the output, the linear operator before it writes it in no norm."""
    save_model(model(body), tmp_path / "un.onnx")
    found = network(tmp_path, unfolded=tmp_path / "un.onnx")
    none = load_model(next(v.model for v in found.variants if v.kind == "none"))
    assert found.gained_biases == ("y",)
    add_biases(none, found.gained_biases)
    assert [node.op_type for node in none.graph] == ["MatMul", "Add"]


@pytest.mark.parametrize("given", [False, True])
def test_a_note_says_with_which_no_norm_gained_biases_were_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    bodies = {"unfolded": "m = Mul(x, a) n = Add(m, b) y = MatMul(n, w)"}
    if given:
        bodies["none"] = "y = MatMul(x, w)"
    files = {}
    for kind, body in bodies.items():
        files[kind] = tmp_path / f"{kind}.onnx"
        save_model(model(body), files[kind])
    compare_here(monkeypatch)
    few = {"builds": 1, "rounds": 2, "sample_s": 1e-4, "dims": {"batch": 4}}
    report = compare(
        files=files, backend="ort-cpu", engines=True, flavor="tensorrt-rtx", threads=1, **few
    )
    same = {one.kind: one.same_as_none for one in report.engines}
    assert same["folded"] is not given  # a given no norm is taken as it is
    compared = "as it was given" if given else "with biases there"
    said = f"a bias (y): the kernels of UN folded are compared with those of no norm {compared}"
    assert any(said in note for note in report.notes)


@pytest.mark.torch
@pytest.mark.usefixtures("without_examples")
def test_baselines_stand_beside_the_four(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the JSON, on the page, in the terminal and before the gates; the faster form counts."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    from un_deploy.cli.show_comparison import comparison
    from un_deploy.pipeline.compare.report_file import write_page

    report = compare(
        "net.py:net",
        norms=("ln", "un", "rms", "bn", "dyt", "derf"),
        inputs="data.npz",
        builds=1,
        rounds=2,
        sample_s=1e-4,
        threads=1,
        backend="ort-cpu",
    )
    added = ("rms", "bn", "dyt", "derf")
    for kind in added:
        assert {one.form for one in report.timed if one.kind == kind} == {"", "folded"}
        assert report.ratio(kind, "folded").ratio > 0  # type: ignore[arg-type]
    none, bn = (
        next(v.operators for v in report.timed if (v.kind, v.form) == place)
        for place in (("none", ""), ("bn", "folded"))
    )
    assert bn == none
    assert {one.kind for one in report.accuracy} == {"ln", "unfolded", "folded", *added}
    require_accuracy(report.accuracy, 1e-5, added)  # type: ignore[arg-type]
    assert CompareReport.from_json(report.to_json(), "it") == report
    report.require_no_regression(report)
    won = replace(report.control.interval, ratio=1e9, low=1e9, high=1e9)
    better = replace(report, ratios=(Ratio("dyt", "folded", "", won),))
    with pytest.raises(ThresholdError, match=r"DyT over UN folded was 1000000000\.000"):
        report.require_no_regression(better)
    comparison(report)
    pytest.importorskip("plotly")
    write_page(report, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    for text in (capsys.readouterr().out, page):
        assert all(title in text for title in ("RMSNorm", "BN", "DyT", "Derf"))
