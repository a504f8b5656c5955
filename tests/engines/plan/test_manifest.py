"""A plan is used only when it, its header and its manifest tell the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from un_deploy.engines.plan.header import Header, read_header
from un_deploy.engines.plan.manifest import load_plan, manifest_path, read_manifest
from un_deploy.errors import InputError
from un_deploy.pipeline.build import build


@pytest.fixture
def plan(linear: Path, tmp_path: Path) -> Path:
    build(linear, tmp_path / "linear.plan", flavor="tensorrt-rtx")
    return tmp_path / "linear.plan"


def test_a_plan_and_its_manifest(plan: Path) -> None:
    import tensorrt_rtx

    data, manifest = load_plan(plan)
    assert data == plan.read_bytes()
    assert manifest == read_manifest(plan)
    assert (manifest.flavor, manifest.tensorrt) == ("tensorrt-rtx", tensorrt_rtx.__version__)
    assert [(t.name, t.dtype, t.shape) for t in manifest.inputs] == [("x", "float", (8, 64))]
    assert [(t.name, t.dtype, t.shape) for t in manifest.outputs] == [("y", "float", (8, 32))]
    header = read_header(data, "x")
    assert (header.flavor, header.size) == ("tensorrt-rtx", len(data))
    assert header.is_of(tensorrt_rtx.__version__)
    assert not header.is_of("10.16.1.11")
    assert not header.is_of("unknown")


def test_a_version_of_three_parts_leaves_the_fourth_open() -> None:
    """Up to 10.7 ``tensorrt.__version__`` is such a one."""
    header = Header("tensorrt", 64, (10, 0, 1, 6))
    assert header.is_of("10.0.1")
    assert header.is_of("10.0.1.6")
    assert not header.is_of("10.0.2")
    assert not header.is_of("10.0.1.7")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-1], "where its header says .*: it was cut off or changed"),
        (lambda data: data[:40], "is no TensorRT plan"),
        (lambda data: b"", "is no TensorRT plan"),
        (lambda data: b"PK" + data[2:], "is no TensorRT plan"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), r"\(its SHA-256 differs\)"),
    ],
    ids=["cut off", "header alone", "empty", "foreign", "one bit"],
)
def test_a_damaged_plan_is_refused(plan: Path, damage, message: str) -> None:
    plan.write_bytes(damage(plan.read_bytes()))
    with pytest.raises(InputError, match=message):
        load_plan(plan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "is of form 99, this un-deploy knows 1"),
        ({"flavor": "tensorrt"}, r"is of tensorrt-rtx 1[\d.]+, .* says tensorrt "),
        ({"tensorrt": "1.0.0.0"}, "says tensorrt-rtx 1.0.0.0: build both again"),
        (
            {"flavor": "other"},
            r"is no manifest of a plan .'other' is none of tensorrt, .* @ \$\.flavor",
        ),
        ({"profiles": 3}, "is no manifest of a plan"),
        ({"profiles": [3]}, "is no manifest of a plan"),
        (
            {"profiles": [{"x": {"min": [1], "max": [2]}}]},
            r"is no manifest of a plan .required field missing @ .*\.opt",
        ),
        ({"memory": {"activation": "much"}}, "is no manifest of a plan"),
        ({"memory": None}, "is no manifest of a plan"),
        ({"surprise": 1}, "is no manifest of a plan"),
    ],
)
def test_a_manifest_of_another_plan_is_refused(
    plan: Path, change: dict[str, object], message: str
) -> None:
    beside = manifest_path(plan)
    beside.write_text(json.dumps(json.loads(beside.read_text()) | change))
    with pytest.raises(InputError, match=message):
        load_plan(plan)


def test_a_plan_without_a_manifest_is_refused(plan: Path) -> None:
    manifest_path(plan).unlink()
    with pytest.raises(InputError, match=r"json does not exist: a plan is only used with"):
        load_plan(plan)
    manifest_path(plan).write_text("{")
    with pytest.raises(InputError, match="is no manifest of a plan"):
        load_plan(plan)


def test_a_manifest_from_before_tf32_was_an_option(plan: Path) -> None:
    """Its plan was built as TensorRT builds by default."""
    beside = manifest_path(plan)
    told = json.loads(beside.read_text())
    assert (told.pop("tf32"), told.pop("lifted_opset")) == (True, None)
    beside.write_text(json.dumps(told))
    _, manifest = load_plan(plan)
    assert (manifest.tf32, manifest.lifted_opset) == (True, None)
