"""un-deploy compare: what it prints, writes and refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.comparing import ONCE, QUICK
from tests.support.graphs import build
from tests.support.reports import full_report
from un_deploy.cli import compare, show_comparison
from un_deploy.graph.model.model_file import save_model
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.runtime.backends import BACKENDS

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("in_this_process", "stripped")


def test_prints_times_ratios_and_the_control(run: Run) -> None:
    result = run("compare", "--unfolded", "model.onnx", *QUICK)
    assert result.exit_code == 0
    for text in ("UN unfolded", "UN folded", "no norm", "A/A control", "derived:", "98%"):
        assert text in result.stdout
    assert "ln: not given" in result.stdout


@pytest.fixture
def layer_norm(folder: Path) -> None:
    model = build(
        "float[batch,3,6] x => float[batch,3,4] y",
        "n = LayerNormalization(x, a, b)  y = MatMul(n, w)",
        a=(6,),
        b=(6,),
        w=(6, 4),
    )
    save_model(model, folder / "layer_norm.onnx")


@pytest.mark.parametrize(
    ("given", "ratios"),
    [
        (("--ln", "layer_norm.onnx"), [("ln", "none")]),
        (("--ln", "layer_norm.onnx", "--none", "ln.onnx"), [("ln", "none")]),
        (
            ("--ln", "layer_norm.onnx", "--unfolded", "model.onnx"),
            [("ln", "folded"), ("unfolded", "folded"), ("ln", "unfolded"), ("folded", "none")],
        ),
    ],
)
def test_which_ratios_there_are(
    run: Run, folder: Path, layer_norm: None, given: tuple[str, ...], ratios: list
) -> None:
    """Without UN folded, LN is held against no norm itself."""
    result = run("compare", *given, *QUICK, "-o", "r.json")
    assert result.exit_code == 0, result.stderr
    report = CompareReport.read(folder / "r.json")
    assert [(one.of, one.to) for one in report.ratios] == ratios
    assert "no norm" in result.stdout


def test_peak_memory_is_shown_with_what_it_counts(run: Run, folder: Path) -> None:
    given = ("compare", "--unfolded", "model.onnx", "--dim", "batch=64", *QUICK)
    result = run(*given, "-o", "r.json")
    text = " ".join(result.stdout.split())
    assert "median ms peak bytes operators" in text
    assert "Peak memory: tensors of a run, outputs included, as ONNX Runtime's allocator" in text
    peaks = {
        timed["kind"]: timed["peak_bytes"]
        for timed in json.loads((folder / "r.json").read_text())["timed"]
    }
    # float[64,3,6] x => float[64,3,4] y: in the folded graph, the output and what MatMul makes.
    least = 4 * 64 * 3 * 4
    assert peaks["folded"] == peaks["none"] >= least
    assert peaks["unfolded"] >= peaks["folded"]


def test_why_memory_is_not_told_does_not_read_as_what_was_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = full_report()
    first, *others = full.timed
    timed = (
        replace(first, peak_bytes=None, memory="no one told"),
        *(replace(one, peak_bytes=1000, memory="all bytes") for one in others),
    )
    show_comparison.comparison(replace(full, timed=timed))
    text = " ".join(capsys.readouterr().out.split())
    assert "Peak memory: all bytes. Peak memory is not told of all: no one told." in text


def test_the_report_goes_to_a_file(run: Run, folder: Path) -> None:
    arguments = ("compare", "--unfolded", "model.onnx", *QUICK, "-o", "report.json")
    assert run(*arguments).exit_code == 0
    assert json.loads((folder / "report.json").read_text())["backend"] == "ort-cpu"
    again = run(*arguments)
    assert again.exit_code == 1 and "--force" in again.stderr
    assert run(*arguments, "--force").exit_code == 0


def test_json_alone_on_standard_output(run: Run) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--dim", "batch=3", "--json", *QUICK)
    assert json.loads(result.stdout)["inputs"] == {"x": [3, 3, 6]}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "give MODEL, or some of"),
        (("spec.py:f", "--ln", "ln.onnx"), 2, "give MODEL, or some of"),
        (("--unfolded", "model.onnx", "--dim", "batch"), 2, "'batch' is not NAME=SIZE"),
        (
            ("spec.py:f", "--norms", "ln,gn"),
            2,
            "'ln,gn' is no list of ln, rms, bn, un, dyt, derf, none",
        ),
        (("spec.py:f", "--norms", "dyt,rms"), 1, "--norms dyt,rms leaves nothing to compare with"),
        (("--unfolded", "absent.onnx"), 1, "absent.onnx"),
        (("--unfolded", "model.onnx", "--dim", "tokens=3"), 1, "tokens"),
    ],
)
def test_bad_input(run: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    Path("spec.py").touch()
    result = run("compare", *arguments, *QUICK)
    assert result.exit_code == code
    assert message in result.stderr and "Traceback" not in result.stderr


def test_a_backend_that_is_not_there_says_so(run: Run) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--backend", "ort-cuda", *ONCE)
    assert result.exit_code == 1
    assert "CUDAExecutionProvider" in result.stderr and "Traceback" not in result.stderr


def test_every_backend_can_be_named() -> None:
    (option,) = (one for one in compare.command.params if one.name == "backend")
    assert [*option.type.choices] == ["auto", *BACKENDS]


def test_a_sweep_of_batch_sizes(run: Run, folder: Path) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--batches", "2,5", "-o", "r.json", *QUICK)
    assert result.exit_code == 0
    report = json.loads((folder / "r.json").read_text())
    assert report["inputs"]["x"] == [2, 3, 6]
    assert [point["inputs"]["x"] for point in report["sweep"]] == [[5, 3, 6]]
    assert "batch time of ratio interval A/A control" in " ".join(result.stdout.split())


@pytest.mark.parametrize("text", ["0", "2,x", "-1", "2,,3"])
def test_what_is_no_batch_size(run: Run, text: str) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--batches", text, *QUICK)
    assert result.exit_code == 2
    assert "is no list of sizes such as 1,8,32" in " ".join(result.stderr.split())


def test_the_batch_given_twice_is_refused(run: Run) -> None:
    sizes = ("--batches", "2", "--dim", "batch=3")
    result = run("compare", "--unfolded", "model.onnx", *sizes, *QUICK)
    assert result.exit_code == 1
    assert "the size of batch is given twice" in result.stderr
