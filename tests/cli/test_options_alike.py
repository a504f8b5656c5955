"""Options that do not depend on the backend: each acts, and `SHOWN` says which test shows it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.cli import (
    test_build,
    test_compare,
    test_compare_gates,
    test_compare_in_trtexec,
    test_compare_layers,
    test_json,
    test_profile,
    test_shapes,
    test_tf32,
    test_triton,
    test_trtexec_compare,
)
from tests.cli.conftest import Run
from tests.support.comparing import ONCE, compare_here, run_here
from tests.support.graphs import build
from tests.support.option_table import ON, options_of
from un_deploy.graph.model.model_file import save_model
from un_deploy.measure.speed.timing_process import Job
from un_deploy.pipeline.compare.variants import Network

pytest.importorskip("onnxruntime")

UNFOLDED = ("--unfolded", "model.onnx")


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The builds of comparisons, which run in this process."""
    found = []

    def record(job: Job, folder: Path) -> dict[str, list[float]]:
        with np.load(job.inputs) as archive:
            found.append((job, dict(archive)))
        return run_here(job, folder)

    compare_here(monkeypatch, record)
    return found


def test_how_much_is_timed(run: Run, jobs: list) -> None:
    line = ("compare", *UNFOLDED, "--builds", "3", "--rounds", "4", "--sample-ms", "7")
    result = run(*line, "--json-samples")
    assert result.exit_code == 0, result.stderr
    seconds = json.loads(result.stdout)["timed"][0]["seconds"]
    assert (len(seconds), len(seconds[0])) == (3, 4)
    assert [(job.rounds, job.sample_s) for job, _ in jobs] == [(4, 0.007)] * 3


def test_what_variants_run_on(run: Run, folder: Path, jobs: list) -> None:
    np.savez(folder / "data.npz", x=np.full((5, 3, 6), 0.5, np.float32))
    for words in (("--seed", "1"), ("--seed", "2"), ("--inputs", "data.npz")):
        assert run("compare", *UNFOLDED, *words, *ONCE).exit_code == 0
    first, second, given = (feeds["x"] for _, feeds in jobs)
    assert first.shape == second.shape and np.all(first != second)
    assert given.shape == (5, 3, 6) and np.all(given == 0.5)


def test_what_is_compared(run: Run, stripped: None, jobs: list) -> None:
    assert run("fold", "model.onnx", "-o", "folded.onnx").exit_code == 0
    given = {"unfolded": "model.onnx", "folded": "folded.onnx", "none": "ln.onnx", "ln": "ln.onnx"}
    words = [
        *("--unfolded", "model.onnx", "--folded", "folded.onnx"),
        *("--none", "ln.onnx", "--ln", "ln.onnx"),
    ]
    result = run("compare", *words, "--json", *ONCE)
    assert result.exit_code == 0, result.stderr
    assert {one["kind"]: one["source"] for one in json.loads(result.stdout)["timed"]} == given


def test_what_a_spec_is_exported_as(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported: list[tuple[object, ...]] = []

    def export(_: Network, spec: str, norm: str, **settings: object) -> None:
        exported.append((spec, norm, settings.pop("checkpoint")))
        assert settings == {
            "inputs": "data.npz",
            "dynamic": False,
            "dynamic_axes": {"x": {1: "length"}, "y": {0: "length"}},
            "exporter": "torchscript",
        }

    monkeypatch.setattr(Network, "export", export)
    for name in ("MODEL.py", "a.pt", "b.pt", "data.npz"):
        (folder / name).touch()
    line = ("compare", "MODEL.py:f", "--norms", "un,ln", "--checkpoint", "a.pt")
    opened = ("--static", "--dynamic", "x:1=length", "--dynamic", "y:0=length")
    how = ("--inputs", "data.npz", "--exporter", "torchscript", *opened)
    run(*line, "--ln-checkpoint", "b.pt", *how)
    assert exported == [
        ("MODEL.py:f", "un", Path("a.pt")),
        ("MODEL.py:f", "ln", Path("b.pt")),
    ]


def test_a_norm_that_is_kept(run: Run, folder: Path, jobs: list) -> None:
    body = "m = Mul(x, a)  h = MatMul(m, k)  n = Mul(h, b)  y = MatMul(n, o)"
    sizes = {"a": (6,), "b": (6,), "k": (6, 6), "o": (6, 4)}
    save_model(build("float[2,6] x => float[2,4] y", body, **sizes), folder / "two.onnx")
    result = run("compare", "--unfolded", "two.onnx", "--keep", "Mul_2", "--json", *ONCE)
    report = json.loads(result.stdout)
    assert {one["kind"]: one["operators"] for one in report["timed"]}["folded"] == 3
    assert any("the norm Mul_2 stays in UN folded" in note for note in report["notes"])


@pytest.mark.usefixtures("in_this_process")
def test_the_flavor_of_engines(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    module, asked = import_module("un_deploy.pipeline.compare.compare"), []
    monkeypatch.setattr(module, "library", asked.append)
    monkeypatch.setattr(module, "engine_facts", lambda *_, flavor, **__: asked.append(flavor) or ())
    monkeypatch.setattr(module, "_point", lambda *_: 1 / 0)
    for flavor in ("tensorrt", "tensorrt-rtx"):
        with pytest.raises(ZeroDivisionError):
            run("compare", *UNFOLDED, "--engines", "--flavor", flavor)
    assert asked == ["tensorrt", "tensorrt", "tensorrt-rtx", "tensorrt-rtx"]


def test_how_much_is_profiled(run: Run) -> None:
    line = ("profile", "model.onnx", "--runs", "3", "--warm-up", "2", "--json-samples")
    report = json.loads(run(*line).stdout)
    assert (len(report["run_s"]), len(report["layers"][0]["seconds"])) == (3, 3)
    assert report["warm_up"] == 2


def test_what_is_profiled_on(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, seeds = import_module("un_deploy.pipeline.profile"), []
    real = module.random_inputs

    def random_inputs(model: object, *, seed: int, dims: object) -> object:
        made = real(model, seed=seed, dims=dims)
        seeds.append((seed, float(made["x"].sum())))
        return made

    monkeypatch.setattr(module, "random_inputs", random_inputs)
    for seed in ("0", "1"):
        assert run("profile", "model.onnx", "--runs", "1", "--seed", seed).exit_code == 0
    (first, one), (second, other) = seeds
    assert (first, second) == (0, 1) and one != other
    np.savez(folder / "data.npz", x=np.zeros((5, 3, 6), np.float32))
    result = run("profile", "model.onnx", "--runs", "1", "--inputs", "data.npz", "--json")
    assert json.loads(result.stdout)["inputs"] == {"x": [5, 3, 6]}


@pytest.fixture
def typed(folder: Path) -> None:
    """typed.onnx: two products, with the types of all tensors."""
    body = "h = MatMul(x, k)  r = Relu(h)  y = MatMul(r, o)"
    model = build("float[2,8] x => float[2,4] y", body, k=(8, 8), o=(8, 4))
    inferred = onnx.shape_inference.infer_shapes(ir.to_proto(model))
    onnx.save(inferred, folder / "typed.onnx")


@pytest.mark.parametrize(
    ("words", "inputs", "outputs"),
    [
        ((), ["x"], ["y"]),
        (("--mark-output", "h"), ["x"], ["y", "h"]),
        (("--region-input", "r"), ["r"], ["y"]),
        (("--region-output", "r"), ["x"], ["r"]),
    ],
)
def test_which_part_of_the_graph_is_built(
    run: Run, typed: None, words: tuple[str, ...], inputs: list[str], outputs: list[str]
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    result = run("build", "typed.onnx", "-o", "m.plan", *words, "--json")
    assert result.exit_code == 0, result.stderr
    manifest = json.loads(result.stdout)["manifest"]
    assert [one["name"] for one in manifest["inputs"]] == inputs
    assert [one["name"] for one in manifest["outputs"]] == outputs


def test_types_and_layouts_at_the_edges(run: Run) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    words = ("--inputIOFormats", "fp16:chw", "--outputIOFormats", "fp16:chw")
    line = ("build", "model.onnx", "-o", "m.plan", "--shapes", "x:8x3x6", "--precision", "fp16")
    plain, given = (json.loads(run(*line, *w, "--force", "--json").stdout) for w in ((), words))
    types = [
        [one["dtype"] for one in (*each["manifest"]["inputs"], *each["manifest"]["outputs"])]
        for each in (plain, given)
    ]
    assert types == [["float", "float"], ["float16", "float16"]]


SHOWN: dict[str, dict[str, Callable[..., Any]]] = {
    "compare": {
        "MODEL": test_what_a_spec_is_exported_as,
        **dict.fromkeys(("--ln", "--unfolded", "--folded", "--none"), test_what_is_compared),
        "--norms": test_what_a_spec_is_exported_as,
        **dict.fromkeys(("--static", "--dynamic", "--exporter"), test_what_a_spec_is_exported_as),
        "--ln-checkpoint": test_what_a_spec_is_exported_as,
        "--checkpoint": test_what_a_spec_is_exported_as,
        "--backend": test_compare_in_trtexec.test_trtexec_is_a_backend,
        **dict.fromkeys(("--builds", "--rounds", "--sample-ms"), test_how_much_is_timed),
        "--dim": test_compare.test_json_alone_on_standard_output,
        "--shapes": test_shapes.test_batches_and_the_same_in_shapes,
        "--json-samples": test_json.test_a_comparison,
        "--batches": test_compare.test_a_sweep_of_batch_sizes,
        "--engines": test_compare_layers.test_engines_are_told_and_not_run,
        "--flavor": test_the_flavor_of_engines,
        "--inputs": test_what_variants_run_on,
        "--seed": test_what_variants_run_on,
        "--keep": test_a_norm_that_is_kept,
        "--min-speedup": test_compare_gates.test_min_speedup,
        "--max-error": test_compare_gates.test_accuracy_comes_first_and_can_be_a_threshold,
        "--against": test_compare_gates.test_against_an_older_report,
        "--output": test_compare.test_the_report_goes_to_a_file,
        "--html": test_compare_in_trtexec.test_what_was_not_captured_is_no_speed_up,
        "--force": test_compare.test_the_report_goes_to_a_file,
        "--json": test_compare.test_json_alone_on_standard_output,
    },
    "trtexec-compare": {
        "--backend": test_trtexec_compare.test_which_of_one_that_is_named,
        "--which": test_trtexec_compare.test_which_says_what_would_run,
    },
    "profile": {
        "MODEL": test_profile.test_the_table_names_the_nodes,
        "--runs": test_how_much_is_profiled,
        "--warm-up": test_how_much_is_profiled,
        "--dim": test_profile.test_the_table_names_the_nodes,
        "--shapes": test_shapes.test_inputs_have_their_own,
        "--json-samples": test_json.test_a_profile,
        "--inputs": test_what_is_profiled_on,
        "--seed": test_what_is_profiled_on,
        "--top": test_profile.test_the_slowest_alone,
        "--output": test_profile.test_trtexecs_files_are_written,
        "--exportTimes": test_profile.test_trtexecs_files_are_written,
        "--force": test_profile.test_trtexecs_files_are_written,
        "--json": test_profile.test_the_slowest_alone,
    },
    "build": {
        "MODEL.onnx": test_build.test_builds_and_says_what,
        "--output": test_build.test_builds_and_says_what,
        "--flavor": test_build.test_refusals,
        "--precision": test_build.test_builds_and_says_what,
        "--keep-fp32": test_build.test_a_product_that_did_not_stay_in_fp32_is_one_line_and_no_plan,
        "--require-types": test_build.test_types_are_required_of_a_precision,
        **dict.fromkeys(
            ("--minShapes", "--optShapes", "--maxShapes"),
            test_build.test_profiles_in_either_spelling,
        ),
        "--shapes": test_build.test_other_values,
        "--dim": test_shapes.test_a_size_that_a_build_lacks,
        "--inputIOFormats": test_types_and_layouts_at_the_edges,
        "--outputIOFormats": test_types_and_layouts_at_the_edges,
        **dict.fromkeys(
            ("--mark-output", "--region-input", "--region-output"),
            test_which_part_of_the_graph_is_built,
        ),
        "--tf32": test_tf32.TestOfEngines.test_a_build_says_which_it_was,
        "--force": test_build.test_other_values,
        "--json": test_build.test_json_alone,
    },
    "triton": {
        "MODEL": test_triton.TestWithTritonclient.test_a_plan,
        "--repository": test_triton.TestWithTritonclient.test_a_plan,
        **dict.fromkeys(
            (
                *("--name", "--version", "--max-batch-size", "--dynamic-batching", "--instances"),
                *("--max-queue-delay", "--preferred-batch-size", "--warm-up", "--force", "--json"),
            ),
            test_triton.TestWithTritonclient.test_every_option_arrives,
        ),
    },
}
"""Of each command its options, and the test that shows that it acts."""


@pytest.mark.parametrize(
    ("command", "option"), [(command, option) for command in ON for option in SHOWN[command]]
)
def test_the_test_that_shows_it_gives_the_option(command: str, option: str) -> None:
    param, source = options_of(command)[option], inspect.getsource(SHOWN[command][option])
    spelled = (*param.opts, *param.secondary_opts)
    assert option.startswith("MODEL") or any(f'"{one}"' in source for one in spelled)
