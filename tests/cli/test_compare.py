"""un-deploy compare: what it prints, writes, refuses and exits with."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.comparing import compare_here
from tests.support.graphs import build
from tests.support.plans import plan_of
from tests.support.reports import full_report
from un_deploy.cli import compare, show_comparison
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.runtime import in_double
from un_deploy.runtime.backends import BACKENDS
from un_deploy.runtime.trtexec.profile_file import parse_profile
from un_deploy.runtime.trtexec.times_file import parse_times

pytest.importorskip("onnxruntime")

QUICK = ("--builds", "2", "--rounds", "2", "--sample-ms", "0.1", "--threads", "1")
ONCE = ("--builds", "1", "--rounds", "2")  # trtexec is a process for every sample


@pytest.fixture(autouse=True)
def without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    compare_here(monkeypatch)


@pytest.fixture(autouse=True)
def stripped(folder: Path, run: Run) -> None:
    """Stands for LN: any other graph of the same signature."""
    arguments = ("strip", "model.onnx", "--node", "Mul_0", "--node", "Add_1", "-o", "ln.onnx")
    assert run(*arguments).exit_code == 0


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


@pytest.mark.parametrize(("least", "code"), [("1e-30", 0), ("1e30", 3)])
def test_min_speedup(run: Run, least: str, code: int) -> None:
    given = ("--unfolded", "model.onnx", "--ln", "ln.onnx", "--min-speedup", least)
    result = run("compare", *given, *QUICK)
    assert result.exit_code == code
    assert "UN folded" in result.stdout  # the report comes in either case
    assert ("1e+30x is not reached" in result.stderr) == (code == 3)


def test_min_speedup_without_ln_is_refused(run: Run) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--min-speedup", "1", *QUICK)
    assert result.exit_code == 1
    assert "LN over UN folded was not measured" in result.stderr


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
        (("spec.py:f", "--norms", "ln,rms"), 2, "'ln,rms' is no list of ln, un, none"),
        (("--unfolded", "absent.onnx"), 1, "absent.onnx"),
        (("--unfolded", "model.onnx", "--dim", "tokens=3"), 1, "tokens"),
    ],
)
def test_bad_input(run: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
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


def test_accuracy_comes_first_and_can_be_a_threshold(run: Run) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--max-error", "1e-5", *QUICK)
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert text.index("Largest error against float64") < text.index("median ms")
    missed = run("compare", "--unfolded", "model.onnx", "--max-error", "0", *QUICK)
    assert missed.exit_code == 3
    assert "is off by" in missed.stderr


def test_an_error_that_nobody_can_judge_misses_every_threshold(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_double, "installed_runtimes", list)
    result = run("compare", "--unfolded", "model.onnx", "--max-error", "1", *QUICK)
    assert result.exit_code == 3
    shown = " ".join(result.stdout.split())
    assert "Errors are not judged of UN unfolded, UN folded: no runtime computes" in shown
    assert "the error of UN unfolded was not judged" in result.stderr


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


def test_layers_are_told_after_the_ratios(run: Run, folder: Path) -> None:
    given = ("--unfolded", "model.onnx", "--ln", "ln.onnx", "--profile", "--batches", "2,5")
    result = run("compare", *given, *QUICK, "-o", "report.json")
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert text.index("A/A control") < text.index("ms in layers LN UN unfolded UN folded no norm")
    for row in (
        "matrix products, convolutions 0.",
        "all layers 0.",
        "a whole run, not profiled 0.",
    ):
        assert row in text
    assert "The layers of LN" in text
    report = json.loads((folder / "report.json").read_text())
    assert [one["kind"] for one in report["layers"]] == ["ln", "unfolded", "folded", "none"]
    assert report["sweep"][0]["layers"] == []  # of the first batch size alone


def test_a_backend_that_tells_no_layers(run: Run) -> None:
    given = ("--unfolded", "model.onnx", "--profile", "--backend", "torch-compile")
    result = run("compare", *given, *QUICK)
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "error: torch-compile cannot tell the times of its layers (--pro"
    )
    assert result.stdout == ""


def test_engines_are_told_and_not_run(run: Run) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    given = ("--unfolded", "model.onnx", "--engines", "--precision", "fp16", "--dim", "batch=4")
    text = " ".join(run("compare", *given, *QUICK).stdout.split())
    assert "in fp16, built and not run" in text
    assert "no norm's kernels" in text
    assert "UN unfolded has the kernels of no norm" not in text


@pytest.mark.parametrize("same", [True, False])
def test_where_unfolded_has_no_norms_kernels_it_is_said(
    same: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    full = full_report()
    engines = tuple(replace(e, same_as_none=same or e.kind != "unfolded") for e in full.engines)
    show_comparison.comparison(replace(full, engines=engines))
    text = " ".join(capsys.readouterr().out.split())
    assert ("UN unfolded has the kernels of no norm here" in text) == same


def test_against_an_older_report(run: Run, folder: Path) -> None:
    given = ("compare", "--unfolded", "model.onnx", "--dim", "batch=4", *QUICK)
    assert run(*given, "-o", "old.json").exit_code == 0
    _change(folder / "old.json", ratio=1.0, low=1e-30, high=1e30)  # nothing is worse than this
    assert run(*given, "--against", "old.json").exit_code == 0
    _change(folder / "old.json", ratio=1e31, low=1e30, high=1e32)  # as if folding had gained that
    worse = run(*given, "--against", "old.json")
    assert worse.exit_code == 3
    assert "error: ort-cpu in the types of the graphs: UN unfolded over UN " in worse.stderr


def _change(report: Path, **interval: float) -> None:
    data = json.loads(report.read_text())
    for one in data["ratios"]:
        one["interval"] |= interval
    report.write_text(json.dumps(data))


def test_an_older_report_of_something_else(run: Run, folder: Path) -> None:
    given = ("compare", "--unfolded", "model.onnx", *QUICK)
    assert run(*given, "--dim", "batch=4", "-o", "old.json").exit_code == 0
    other = run(*given, "--dim", "batch=5", "--against", "old.json")
    assert other.exit_code == 1
    assert "the old report has inputs" in other.stderr
    (folder / "old.json").write_text("{}")
    assert run(*given, "--against", "old.json").exit_code == 1


@pytest.fixture
def trtexec(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A double of trtexec, whose engines compute what their graph says."""
    double = Path(__file__).parents[1] / "support" / "doubles" / "trtexec_evaluating.py"
    binary = folder / "trtexec"
    binary.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{double}' \"$@\"\n")
    binary.chmod(0o755)
    monkeypatch.setenv("TRTEXEC", str(binary))
    return binary


def test_trtexec_is_a_backend(run: Run, trtexec: Path) -> None:
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--precision", "fp16")
    result = run("compare", *given, "--dim", "batch=4", "--max-error", "0.01", *ONCE)
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "timed by trtexec 10.16.2 (transfers off, spin wait on, cuda graph on" in text
    assert "UN folded" in text
    exact = run("compare", *given, "--dim", "batch=4", "--max-error", "1e-7", *ONCE)
    assert exact.exit_code == 3  # fp16 is not that exact: what the engine computed was looked at


def test_layers_of_trtexec_that_no_node_is_told_for_are_not_assigned(
    run: Run, trtexec: Path
) -> None:
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--profile", "--dim", "batch=4")
    result = run("compare", *given, *ONCE)
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    # The double's layers: five of the kind gemm, 0.08 to 0.4 ms, and one of which nothing is told.
    assert "matrix products, convolutions 1.2000 1.2000 1.2000" in text
    assert "Not assigned: never runs." in text


def test_without_trtexec_there_is_no_such_backend(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRTEXEC", "/nowhere/trtexec")
    result = run("compare", "--unfolded", "model.onnx", "--backend", "trtexec", *ONCE)
    assert result.exit_code == 1
    assert "/nowhere/trtexec" in result.stderr


def test_engines_without_a_gpu_are_one_clear_line(run: Run) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    given = ("--unfolded", "model.onnx", "--backend", "tensorrt-rtx", "--dim", "batch=2")
    result = run("compare", *given, *ONCE)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "median ms" not in result.stdout


def test_plans_are_variants(run: Run, folder: Path, trtexec: Path) -> None:
    version = trtexec.read_text().replace("exec ", "TRTEXEC_DOUBLE_VERSION=101601 exec ")
    trtexec.write_text(version)
    for kind in ("model", "ln"):
        plan_of(folder / f"{kind}.plan", load_model(folder / f"{kind}.onnx"))
    given = ("--unfolded", "model.plan", "--ln", "ln.plan", "--dim", "batch=2")
    result = run("compare", *given, "--backend", "trtexec", "-o", "r.json", *ONCE)
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "folded: not given, and not to be had from plans" in text
    assert "Note: UN unfolded is a plan built of model.onnx in fp32 by tensorrt 10.16.1.11" in text
    assert "Peak memory is not told: trtexec writes no memory into its files" in text
    sizes = {
        one["kind"]: one["plan_bytes"]
        for one in json.loads((folder / "r.json").read_text())["timed"]
    }
    assert sizes["ln"] == (folder / "ln.plan").stat().st_size
    refused = run("compare", *given, "--backend", "ort-cpu", *QUICK)
    assert refused.exit_code == 1
    assert "not on ort-cpu" in refused.stderr
    bounded = run("compare", *given, "--backend", "trtexec", "--max-error", "1", *ONCE)
    assert bounded.exit_code == 1
    assert "plans have no graph to be held against" in bounded.stderr


def test_a_plan_that_is_not_there(run: Run) -> None:
    result = run("compare", "--ln", "absent.plan", "--folded", "model.onnx", *QUICK)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: absent.plan does not exist: build it with un-deploy")


def test_trtexecs_own_files_are_kept(run: Run, folder: Path, trtexec: Path) -> None:
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--dim", "batch=2")
    few = ("--builds", "2", "--rounds", "2", "--sample-ms", "0.1")
    result = run("compare", *given, *few, "--keep-logs", "logs")
    assert result.exit_code == 0, result.stderr
    kept = {str(path.relative_to(folder / "logs")) for path in (folder / "logs").rglob("*.*")}
    files = ("build.log", "trtexec.log", "times.json", "profile.json", "layers.json", "result.json")
    variants = ("unfolded", "folded", "none", "folded_again")
    assert kept == {f"build_{n}/{v}/{f}" for n in (1, 2) for v in variants for f in files}
    one = folder / "logs" / "build_2" / "folded"
    assert len(parse_times((one / "times.json").read_text()).inferences) == 10
    assert parse_profile((one / "profile.json").read_text()).iterations == 40
    assert "--saveEngine" in (one / "build.log").read_text()
    assert json.loads((one / "result.json").read_text())["status"] == "passed"
    again = run("compare", *given, *few, "--keep-logs", "logs")
    assert again.exit_code == 1
    assert "logs exists already" in again.stderr


def test_other_backends_have_no_logs_to_keep(run: Run, folder: Path) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--keep-logs", "logs", *QUICK)
    assert result.exit_code == 1
    assert "trtexec alone has logs to keep, and ort-cpu was to run" in result.stderr
    assert not (folder / "logs").exists()


@pytest.mark.parametrize("option", ["-o", "--html"])
def test_logs_have_a_name_of_their_own(run: Run, folder: Path, option: str) -> None:
    given = ("--unfolded", "model.onnx", "--backend", "trtexec")
    result = run("compare", *given, "--keep-logs", "it", option, "it", *QUICK)
    assert result.exit_code == 2
    assert f"{option} and --keep-logs name the same file" in result.stderr


def test_a_folder_that_holds_other_things_is_never_replaced_by_logs(
    run: Run, folder: Path, trtexec: Path
) -> None:
    given = ("compare", "--unfolded", "model.onnx", "--backend", "trtexec", "--dim", "batch=2")
    few = ("--builds", "1", "--rounds", "2", "--sample-ms", "0.1", "--keep-logs", "logs", "--force")
    (folder / "logs" / "build_7").mkdir(parents=True)
    (folder / "logs" / "thesis.tex").write_text("years")
    refused = run(*given, *few)
    assert refused.exit_code == 1
    assert "logs holds thesis.tex, which is no log of a comparison" in refused.stderr
    assert (folder / "logs" / "thesis.tex").read_text() == "years"
    (folder / "logs" / "thesis.tex").unlink()
    assert run(*given, *few).exit_code == 0
    assert [path.name for path in (folder / "logs").iterdir()] == ["build_1"]
