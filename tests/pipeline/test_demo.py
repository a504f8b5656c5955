"""The demo, whole: it runs from any directory and says what it saw."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import un_deploy.pipeline.demo as module
from tests.support.comparing import compare_here
from un_deploy.cli import main
from un_deploy.errors import MissingPackageError, VerificationError
from un_deploy.pipeline.demo import demo
from un_deploy.pipeline.export.model_spec import recipes_dir

pytestmark = pytest.mark.torch

FILES = ["report.json", "vit_micro_ln.onnx", "vit_micro_un.onnx", "vit_micro_un_folded.onnx"]


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compare_here(monkeypatch)
    monkeypatch.setattr(module, "demo", partial(demo, builds=2, rounds=2))
    result = CliRunner().invoke(main, ["demo"])
    assert result.exit_code == 0, result.output
    out = tmp_path / "demo-out"
    assert sorted(path.name for path in out.iterdir()) == FILES
    for name in FILES:
        assert f"demo-out/{name}" in result.stdout
    assert "9 of 9 norms folded" in result.stdout

    data = json.loads((out / "report.json").read_text())
    summary = json.loads((recipes_dir() / "checkpoints" / "summary.json").read_text())
    variants = {variant["name"]: variant for variant in data["variants"]}
    for norm in ("LN", "UN"):
        kept = summary[f"vit_micro_{norm.lower()}_seed0"]["kept_accuracy"]
        assert abs(variants[f"PyTorch, {norm}"]["accuracy"] - kept) <= 0.001 + 1e-9
    graphs = [variant for name, variant in variants.items() if name.startswith("ONNX")]
    assert len(graphs) == 3 and all(variant["changed"] == 0 for variant in graphs)
    # Nine norms of two operators each, and nothing else, are gone.
    assert variants["ONNX, UN"]["operators"] - variants["ONNX, UN folded"]["operators"] == 18
    assert data["fold"]["verification"]["passed"]
    timed = {timed["kind"] for timed in data["comparison"]["timed"]}
    assert timed == {"ln", "unfolded", "folded", "none"} and "A/A control" in result.stdout

    again = CliRunner().invoke(main, ["demo"])
    assert again.exit_code == 1
    assert again.stderr.startswith("error: demo-out exists already: choose another folder")


def test_a_prediction_that_changes_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = module._onnxruntime

    def swapped(file):
        classify = right(file)
        return lambda images: classify(images)[:, [1, 0, *range(2, 10)]]

    monkeypatch.setattr(module, "_onnxruntime", swapped)
    with pytest.raises(VerificationError, match=r"vit_micro_ln\.onnx classifies \d+ images as"):
        demo(tmp_path / "out")


@pytest.mark.parametrize("package", ["torch", "onnxscript", "onnxruntime"])
def test_missing_packages(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=r'pip install "un-deploy\[torch,cpu\]"'):
        demo(tmp_path / "out")
    assert not (tmp_path / "out").exists()
