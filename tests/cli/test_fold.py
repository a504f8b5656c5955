"""un-deploy fold, as it is used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.cli.conftest import Run
from tests.support.graphs import NORM, build
from un_deploy.graph.model.model_file import save_model


def test_folds_and_proves(folder: Path, run: Run) -> None:
    result = run("fold", "model.onnx", "-o", "folded.onnx")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [n.op_type for n in onnx.load("folded.onnx").graph.node] == ["MatMul", "Add"]
    assert "1 of 1 norms folded; 4 operators before, 2 after." in result.stdout
    assert "rewritten constants compared in every entry" in " ".join(result.stdout.split())
    assert "onnxruntime" not in result.stdout  # nothing is run
    assert result.stdout.endswith("\nproven\nWrote folded.onnx\n")


def test_dry_run_writes_nothing(folder: Path, run: Run) -> None:
    result = run("fold", "model.onnx", "--dry-run")
    assert result.exit_code == 0
    assert "proven\nNothing was written (dry run).\n" in result.stdout
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]


def test_json_is_all_there_is(folder: Path, run: Run) -> None:
    Path("loader.py").write_text(
        "import numpy as np\n"
        "def data():\n"
        "    print('loading')\n"
        "    return {'x': np.ones((5, 3, 6), np.float32)}\n"
    )
    result = run("fold", "model.onnx", "-o", "b.onnx", "--inputs", "loader.py:data", "--json")
    data = json.loads(result.stdout)
    assert result.stderr == "loading\n"
    assert (data["version"], data["source"], data["target"]) == (1, "model.onnx", "b.onnx")
    (site,) = data["fold"]["sites"]
    assert (site["status"], site["into"]) == ("folded", ["MatMul_2"])
    assert data["verification"]["verdict"] == "proven"
    assert data["verification"]["outputs"][0]["runtime"] == "onnxruntime"  # the second look


def test_no_verify(run: Run) -> None:
    result = run("fold", "model.onnx", "-o", "b.onnx", "--no-verify", "--json")
    assert json.loads(result.stdout)["verification"] is None
    assert Path("b.onnx").exists()


def test_keep(run: Run) -> None:
    result = run("fold", "model.onnx", "-o", "b.onnx", "--keep", "Mul_0")
    assert "stays: kept, as asked" in result.stdout
    assert len(onnx.load("b.onnx").graph.node) == 4
    result = run("fold", "model.onnx", "-o", "c.onnx", "--keep", "Mul_9")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: --keep 'Mul_9' names no norm of this graph")


def test_force(run: Run) -> None:
    assert run("fold", "model.onnx", "-o", "folded.onnx").exit_code == 0
    assert run("fold", "model.onnx", "-o", "folded.onnx").exit_code == 1
    assert run("fold", "model.onnx", "-o", "folded.onnx", "--force").exit_code == 0
    assert len(onnx.load("folded.onnx").graph.node) == 2


@pytest.mark.usefixtures("one_wrong_edit")
def test_one_wrong_edit_is_not_written(folder: Path, run: Run) -> None:
    """The gauges agree with each other, which is all that certify sees; the weights are wrong."""
    result = run("fold", "model.onnx", "-o", "folded.onnx")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: the graphs are not equal: 'Add_3' gives ")
    assert "--keep" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]
    assert run("fold", "model.onnx", "-o", "folded.onnx", "--no-verify").exit_code == 0
    assert run("verify", "model.onnx", "folded.onnx").exit_code == 3


LN = "n = LayerNormalization(x, a, b) t = LayerNormalization(n, a, b) y = MatMul(t, w)"
SIGNATURE = "float[2,6] x => float[2,4] y"


def save(body: str) -> None:
    constants = {"ones": np.ones(6, np.float32), "table": (2, 4), "eps": np.float32(1e-5)}
    constants["last"] = np.int64([-1])
    model = build(SIGNATURE, body, a=(6,), b=(6,), w=(6, 4), **constants)
    save_model(model, "ln.onnx")


def said(output: str) -> str:
    return " ".join(output.split())


def test_norms_that_measure_are_named_with_what_can_be_done(run: Run) -> None:
    save(LN)
    result = run("fold", "ln.onnx", "--dry-run")
    assert result.exit_code == 0
    assert (
        "2 LayerNormalizations (LayerNormalization_0, LayerNormalization_1) stay: they measure "
        "their input at run time. To be without, train the network with Unified Normalization in "
        "their place (un_deploy.convert_norms), or convert the trained one: un-deploy convert, "
        "which takes the PyTorch model, its checkpoint and samples. Those that it kept go with a "
        "larger --max-loss, or with --finetune. "
        "Scale and shift of 2 of them may fold alone: --fold-norm-affine."
    ) in said(result.stdout)
    data = json.loads(run("fold", "ln.onnx", "--dry-run", "--json").stdout)
    assert [norm["node"] for norm in data["fold"]["measuring"]] == [
        "LayerNormalization_0",
        "LayerNormalization_1",
    ]


NOTHING = "Nothing folded: "
CURE = "--require-folded 1 makes this an error."


@pytest.mark.parametrize(
    ("body", "why", "cure"),
    [
        (LN, "2 LayerNormalizations measure their input at run time", CURE),
        (f"{NORM} y = Tanh(n)", "1 affine norm stays, as said above", CURE),
        ("y = MatMul(x, w)", "there is no norm in it", CURE),
    ],
)
def test_that_nothing_folded_is_said_last(body: str, why: str, cure: str, run: Run) -> None:
    save(body)
    result = run("fold", "ln.onnx", "-o", "out.onnx")
    assert result.exit_code == 0
    last = f"{NOTHING}{why}. out.onnx is the network as it was. {cure}"
    assert said(result.stdout).endswith(f" Wrote out.onnx {last}")
    assert said(run("fold", "ln.onnx", "--dry-run").stdout).endswith(f"{NOTHING}{why}. {cure}")
    assert run("fold", "ln.onnx", "-o", "no.onnx", "--require-folded", "1").exit_code == 3


def test_where_a_norm_folds_it_is_not_said(run: Run) -> None:
    assert NOTHING not in run("fold", "model.onnx", "--dry-run").stdout


def test_one_norm_without_a_scale_has_nothing_to_fold(run: Run) -> None:
    save("n = LayerNormalization(x, ones) y = MatMul(n, w)")
    told = said(run("fold", "ln.onnx", "--dry-run").stdout)
    assert "1 LayerNormalization (LayerNormalization_0) stays: it measures its input" in told
    assert "--fold-norm-affine" not in told


def test_of_many_norms_the_first_are_named(run: Run) -> None:
    several = " ".join(f"n{i + 1} = LayerNormalization(n{i}, a, b)" for i in range(5))
    save(f"{several} y = MatMul(n5, w)".replace("(n0,", "(x,"))
    told = said(run("fold", "ln.onnx", "--dry-run").stdout)
    assert "LayerNormalization_0, LayerNormalization_1, LayerNormalization_2 and 2 more)" in told
    # inspect lists all of them in a table.
    told = said(run("inspect", "ln.onnx").stdout)
    assert "5 LayerNormalizations stay: they measure their input at run time. To be" in told


def test_an_rms_norm_is_nothing_for_convert(run: Run) -> None:
    save(
        "s = Mul(x, x) m = ReduceMean(s, last) e = Add(m, eps) q = Sqrt(e) "
        "n = Div(x, q) g = Mul(n, a) y = MatMul(g, w)"
    )
    told = said(run("fold", "ln.onnx", "--dry-run").stdout)
    assert "1 RMSNorm (Mul_0) stays" in told and "(un_deploy.convert_norms)." in told


def test_a_position_embedding_is_told_by_inspect_alone(run: Run) -> None:
    save(f"{NORM} p = MatMul(n, w) y = Add(p, table)")
    reason = "it differs from place to place, as a position embedding does and no bias of MatMul_"
    assert "nearly a norm" not in run("fold", "ln.onnx", "--dry-run").stdout
    (miss,) = json.loads(run("fold", "ln.onnx", "--dry-run", "--json").stdout)["fold"][
        "near_misses"
    ]
    assert miss["is_table"] and miss["reason"].startswith(reason)
    assert "nearly a norm" in run("inspect", "ln.onnx").stdout


def test_of_a_network_without_such_norms_nothing_is_said(run: Run) -> None:
    assert "run time" not in run("fold", "model.onnx", "--dry-run").stdout


def test_fold_norm_affine(run: Run) -> None:
    save("n = LayerNormalization(x, a, b) y = MatMul(n, w)")
    result = run("fold", "ln.onnx", "-o", "folded.onnx", "--fold-norm-affine")
    assert result.exit_code == 0
    told = said(result.stdout)
    assert "The scale and shift of 1 of 1 norms folded; the norm stays; 2 operators" in told
    assert "proven" in told
    node = onnx.load("folded.onnx").graph.node[0]
    held = {
        t.name: onnx.numpy_helper.to_array(t) for t in onnx.load("folded.onnx").graph.initializer
    }
    assert np.all(held[node.input[1]] == 1) and not np.any(held[node.input[2]])
    assert run("verify", "ln.onnx", "folded.onnx", "--require", "proven").exit_code == 0
    report = json.loads(run("fold", "ln.onnx", "--dry-run", "--fold-norm-affine", "--json").stdout)
    assert report["fold"]["norms_gone"] == 0
    assert report["fold"]["sites"][0]["part_of"] == "LayerNormalization"


def test_a_norm_whose_scale_and_shift_folded_passes_no_gate(run: Run) -> None:
    save("n = LayerNormalization(x, a, b) y = MatMul(n, w)")
    asked = ("fold", "ln.onnx", "-o", "out.onnx", "--fold-norm-affine", "--require-folded", "1")
    result = run(*asked)
    assert result.exit_code == 3 and not Path("out.onnx").exists()
    assert said(result.stderr).endswith(
        "error: 0 of 1 required norms folded, and 1 with scale and shift alone, which stay"
    )


@pytest.mark.parametrize(
    ("body", "wanted", "error"),
    [
        (f"{NORM} y = MatMul(n, w)", "all", ""),
        (f"{NORM} y = MatMul(n, w)", "1", ""),
        (f"{NORM} y = MatMul(n, w)", "2", "1 of 2 required norms folded"),
        (f"{NORM} y = Tanh(n)", "1", "0 of 1 required norms folded, and 'Mul_0' stays: forward: "),
        (
            f"{NORM} t = Tanh(n) y = MatMul(t, w)",
            "all",
            "no norm may stay, but 1 of 1 do: 'Mul_0' stays: forward: ",
        ),
        (f"{NORM} t = Tanh(n) y = MatMul(t, w)", "0", ""),
        (
            LN,
            "all",
            "no norm may stay, but some measure their input: 2 LayerNormalizations "
            "(LayerNormalization_0, LayerNormalization_1)",
        ),
    ],
)
def test_require_folded(body: str, wanted: str, error: str, run: Run) -> None:
    save(body)
    result = run("fold", "ln.onnx", "-o", "out.onnx", "--require-folded", wanted)
    assert result.exit_code == (3 if error else 0)
    assert result.stderr.startswith(f"error: {error}" if error else "")
    assert Path("out.onnx").exists() == (not error)


def test_require_folded_takes_all_or_a_number(run: Run) -> None:
    result = run("fold", "model.onnx", "--dry-run", "--require-folded", "most")
    assert result.exit_code == 2
    assert "'most' is neither all nor a number of norms" in result.stderr
