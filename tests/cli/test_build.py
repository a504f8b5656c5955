"""un-deploy build: trtexec's spellings, what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.cli.conftest import Run
from tests.support.graphs import build
from tests.support.networks.foreign import NETWORKS
from un_deploy.graph.model.model_file import save_model

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")

SHAPES = ("--shapes", "x:8x3x6")
FP16 = ("--precision", "fp16")


def test_builds_and_says_what(run: Run, folder: Path) -> None:
    result = run("build", "model.onnx", "-o", "m.plan", "--precision", "fp16", *SHAPES)
    assert result.exit_code == 0
    assert "tensorrt-rtx 1." in result.stdout
    assert "1 in Half; asked for fp16" in result.stdout
    assert "Wrote m.plan and m.plan.json" in result.stdout
    assert (folder / "m.plan").stat().st_size == json.loads((folder / "m.plan.json").read_text())[
        "bytes"
    ]


@pytest.mark.parametrize(
    ("given", "told"),
    [((), "compute capability 8.0 (Ampere) and later"), (("86",), "compute capability 86 alone")],
)
def test_it_says_for_which_gpus(run: Run, given: tuple[str, ...], told: str) -> None:
    named = [f"--computeCapability={one}" for one in given]
    result = run("build", "model.onnx", "-o", "net.plan", *SHAPES, *named)
    assert told in " ".join(result.output.split())


def test_products_whose_type_is_not_shown_are_named_and_counted(run: Run, folder: Path) -> None:
    """No kernel tells whether it is of the LSTM in bf16, or of the GRU, which may be in fp32."""
    onnx.save(NETWORKS["recurrent layers"].write(), folder / "two.onnx")
    flags = ("build", "two.onnx", "-o", "m.plan", "--precision", "bf16")
    result = run(*flags, "--require-types")
    assert result.exit_code == 1 and not (folder / "m.plan").exists()
    assert "the type is shown for 11 of 12 products: node_of_l: no kernel names" in result.stderr
    result = run(*flags)
    assert result.exit_code == 0
    assert "The type is shown for 11 of 12 products." in result.stdout
    assert "Not shown: node_of_l: no kernel names it" in result.stdout


def test_types_are_required_of_a_precision(run: Run) -> None:
    result = run("build", "model.onnx", "-o", "m.plan", "--require-types", *SHAPES)
    assert result.exit_code == 1
    assert "--require-types is of a precision: give --precision with it" in result.stderr
    result = run("build", "model.onnx", "-o", "m.plan", "--require-types", *SHAPES, *FP16)
    assert result.exit_code == 0
    assert "The type is shown for 1 of 1 products." in result.stdout


def test_values_of_an_input_that_is_read_as_a_shape(run: Run, folder: Path) -> None:
    body = "h = MatMul(x, w)  y = Reshape(h, target)"
    model = build("float[4,8] x, int64[2] target => float[P,Q] y", body, w=(8, 8))
    save_model(model, folder / "shaped.onnx")
    flags = ("build", "shaped.onnx", "-o", "m.plan")
    for given in ((), ("--shapes", "target:2")):
        result = run(*flags, *given)
        assert result.exit_code == 1
        assert "reads input target as a shape, so every profile has to give its 2 val" in (
            result.stderr
        )
    three = ("--minShapes", "target:2x4", "--optShapes", "target:4x8", "--maxShapes", "target:8x16")
    assert run(*flags, *three).exit_code == 0
    told = json.loads((folder / "m.plan.json").read_text())["profiles"][0]["target"]
    assert told == {"min": [2, 4], "opt": [4, 8], "max": [8, 16], "of_values": True}


@pytest.mark.parametrize(
    ("signature", "body", "given"),
    [
        ("float[1,8] x, int64[2] to => float[P,Q] y", "h = MatMul(x, w)  y = Expand(h, to)", "4x8"),
        (
            "float[4,8] x, int64 to => float[P,8] y",
            "e = Reshape(to, one)  s = Slice(x, zero, e, zero)  y = MatMul(s, w)",
            "3",
        ),
    ],
)
def test_other_values(run: Run, folder: Path, signature: str, body: str, given: str) -> None:
    model = build(signature, body, w=(8, 8), one=[1], zero=[0])
    save_model(model, folder / "shaped.onnx")
    flags = ("build", "shaped.onnx", "-o", "m.plan", *FP16)
    assert run(*flags, "--shapes", f"to:{given}").exit_code == 0
    result = run(*flags, "--force", "--shapes", "to:scalar" if given == "3" else "to:2")
    assert result.exit_code == 1 and "reads input to as a shape" in result.stderr


@pytest.mark.parametrize("past", ["0", "16"])
def test_a_plan_for_an_empty_past(run: Run, folder: Path, past: str) -> None:
    body = "c = Concat<axis=1>(p, x)  n = Mul(c, a)  y = MatMul(n, k)"
    signature = "float[1,3,8] x, float[1,past,8] p => float[1,N,4] y"
    save_model(build(signature, body, a=(8,), k=(8, 4)), folder / "past.onnx")
    three = ("--minShapes", "p:1x0x8", "--optShapes", "p:1x0x8", "--maxShapes", f"p:1x{past}x8")
    result = run("build", "past.onnx", "-o", "m.plan", *three, *FP16)
    assert result.exit_code == 0, result.stderr
    assert "The type is shown for 1 of 1 products." in result.stdout


def test_only_what_is_read_as_a_shape_has_values(run: Run, folder: Path) -> None:
    body = "h = MatMul(x, w)  i = Gather<axis=0>(h, rows)  y = Relu(i)"
    model = build("float[4,8] x, int64[2] rows => float[2,8] y", body, w=(8, 8))
    save_model(model, folder / "rows.onnx")
    result = run("build", "rows.onnx", "-o", "m.plan", "--shapes", "rows:1x3")
    assert result.exit_code == 1
    assert "gives input rows a shape of 2 axes, and it has 1" in result.stderr


def test_a_product_that_did_not_stay_in_fp32_is_one_line_and_no_plan(
    run: Run, folder: Path
) -> None:
    body = "a = MatMul(x, u)  r = Relu(a)  b = MatMul(r, v)  s = Relu(b)  y = MatMul(s, w)"
    weights = dict.fromkeys("uvw", (64, 64))
    save_model(build("float[8,64] x => float[8,64] y", body, **weights), folder / "three.onnx")
    flags = ("--precision", "fp16", "--keep-fp32", "MatMul_2")
    result = run("build", "three.onnx", "-o", "m.plan", *flags)
    assert result.exit_code == 1
    assert "MatMul_2 was to stay in fp32, but TensorRT multiplies it in Half" in result.stderr
    assert not (folder / "m.plan").exists()


def test_entries_that_became_zero_are_told(run: Run, folder: Path) -> None:
    weight = np.ones((64, 64), np.float32)
    weight[3, 5] = 1e-9
    model = build("float[8,64] x => float[8,64] y", "y = MatMul(x, w)", w=weight)
    save_model(model, folder / "tiny.onnx")
    result = run("build", "tiny.onnx", "-o", "m.plan", "--precision", "fp16")
    assert result.exit_code == 0
    assert "became 0, each below its neighbours' rounding: 1 of w" in " ".join(
        result.stdout.split()
    )


def test_json_alone(run: Run) -> None:
    result = run("build", "model.onnx", "-o", "m.plan", "--json", *SHAPES)
    report = json.loads(result.stdout)
    assert report["version"] == 1
    assert report["manifest"]["profiles"][0]["x"]["max"] == [8, 3, 6]


@pytest.mark.parametrize(
    "spelling",
    [
        ("--minShapes", "--optShapes", "--maxShapes"),
        ("--min-shapes", "--opt-shapes", "--max-shapes"),
    ],
)
def test_profiles_in_either_spelling(run: Run, folder: Path, spelling: tuple[str, ...]) -> None:
    sizes = ("x:1x3x6", "x:4x3x6", "x:8x3x6", "x:8x3x6", "x:16x3x6", "x:32x3x6")
    flags = [part for pair in zip(spelling * 2, sizes, strict=True) for part in pair]
    assert run("build", "model.onnx", "-o", "m.plan", *flags).exit_code == 0
    manifest = json.loads((folder / "m.plan.json").read_text())
    assert [p["x"]["opt"] for p in manifest["profiles"]] == [[4, 3, 6], [16, 3, 6]]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 1, "has sizes that are open: give --shapes"),
        (("--shapes", "y:1x3x6"), 1, "profile 0 names y; the inputs are x"),
        (("--minShapes", "x:1x3x6"), 1, "profile 0 needs --minShapes, --optShapes and --maxShapes"),
        (
            ("--minShapes", "x:4x3x6", "--optShapes", "x:2x3x6", "--maxShapes", "x:8x3x6"),
            1,
            "axis 0 of input x: float32 (batch, 3, 6) has min 4, opt 2, max 8",
        ),
        ((*SHAPES, "--timingCacheFile", "cache"), 1, "does not take --timingCacheFile"),
        ((*SHAPES, "--builderOptimizationLevel", "3"), 1, "TensorRT-RTX ignores"),
        ((*SHAPES, "--memPoolSize", "workspace"), 1, "'' is no size"),
        ((*SHAPES, "--memPoolSize", ""), 1, "there is no pool ''"),
        ((*SHAPES, "--inputIOFormats", ""), 1, "--inputIOFormats, '': there is no type ''"),
        ((*SHAPES, "--outputIOFormats", ""), 1, "--outputIOFormats, '': there is no type ''"),
        ((*SHAPES, "--computeCapability", ""), 1, "--computeCapability: '' is no compute cap"),
        ((*SHAPES, "--keep-fp32", "MatMul"), 1, "give --precision fp16 or bf16 with it"),
        (
            (*SHAPES, "--keep-fp32", "MatMul", "--precision", "fp32"),
            1,
            "nothing is converted to fp32 here, so MatMul cannot be kept in fp32",
        ),
        ((*SHAPES, "--computeCapability", "90"), 1, "does not build for compute capability 90"),
        ((*SHAPES, "--flavor", "tensorrt"), 1, 'pip install "un-deploy[tensorrt]"'),
        ((*SHAPES, "--precision", "int8"), 2, "'int8' is not one of"),
        ((*SHAPES, "--builderOptimizationLevel", "9"), 2, "9 is not in the range"),
    ],
)
def test_refusals(
    run: Run, folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = run("build", "model.onnx", "-o", "m.plan", "--flavor", "tensorrt-rtx", *arguments)
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx"]


def test_the_help_says_that_plans_are_untested(run: Run) -> None:
    assert "untested on hardware" in " ".join(run("build", "--help").stdout.split())
