"""The sweep of engines: what it builds, where it goes on, and what it calls wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from benchmarks import signatures
from benchmarks.signatures import Cell, Result
from benchmarks.signatures_table import faults, markdown
from models.recipes import MEASURED


def entry(form: str, kernels: str, target: str = "80", precision: str = "fp16") -> dict[str, Any]:
    """A build of vit_micro whose kernels have a digest."""
    place = {"network": "vit_micro", "shapes": "static", "precision": precision, "target": target}
    told = {"signatures": kernels, "kernels": 3, "bytes_written": 10**6, "plan_bytes": 10}
    told |= {"activation_bytes": 2 * 10**6, "multiplying": {"Half": 2}, "fp32_outputs": []}
    folded = {"norms_stayed": 0, "gained_biases": []} if form == "folded" else {}
    return {**place, "form": form, **told, **folded}


def refused(form: str, target: str, precision: str) -> dict[str, Any]:
    place = {"network": "vit_micro", "shapes": "static", "precision": precision, "target": target}
    return {**place, "form": form, "refused": "no such product"}


RIGHT = [entry(f, k) for f, k in zip(("none", "folded", "un", "ln"), "aabc", strict=True)]


def test_every_network_shape_precision_target_and_form_is_built_once() -> None:
    cells = list(signatures.cells())
    assert len(cells) == len(set(cells)) == len(MEASURED) * 2 * 3 * 7 * 5


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (RIGHT, []),
        ([entry("none", "a"), entry("un", "a")], []),  # told, and allowed
        ([refused("none", "75", "bf16")], []),
        (
            [entry("none", "a"), entry("folded", "b")],
            ["vit_micro static fp16 80: folded has other kernels than no norm"],
        ),
        (
            [entry("none", "a"), entry("ln", "a")],
            ["vit_micro static fp16 80: ln has the kernels of no norm"],
        ),
        (
            [refused("un", "80", "fp16")],
            ["vit_micro static fp16 80 un: no such product"],
        ),
        (
            [entry("un", "a", "75", "fp32")],
            ["vit_micro static fp32 75 un: must be refused, and is built"],
        ),
    ],
)
def test_what_must_not_be(entries: list[dict[str, Any]], said: list[str]) -> None:
    assert faults(entries) == said
    page = markdown(entries, "TensorRT-RTX 1.7", [])
    assert all(f"**Must not be:** {line}" in page for line in said)


class TestTable:
    def test_it_counts_and_names(self) -> None:
        page = markdown(RIGHT, "TensorRT-RTX 1.7", [])
        assert "UN folded has the kernels of no norm in 1 of 1 configurations" in page
        assert "| vit_micro, static | fp16 | 80 | UN folded | 3 / 3 / 3 / ? / 3 |" in page

    def test_unfolded_with_the_kernels_of_no_norm_is_said(self) -> None:
        page = markdown([entry("none", "a"), entry("un", "a")], "TensorRT-RTX 1.7", [])
        assert "the kernels of no norm in vit_micro static fp16 80**" in page

    def test_what_is_missing_is_said(self) -> None:
        missing = [Cell("vit_base", "static", "fp16", target, "ln") for target in ("80", "86")]
        page = markdown(RIGHT, "TensorRT-RTX 1.7", missing)
        assert "**Not built yet:** 2 builds: vit_base ln (2)." in page


class TestRun:
    @pytest.fixture
    def wanted(self) -> list[Cell]:
        pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
        place = ("bert_micro", "static", "fp32")
        cells = [Cell(*place, "default", form) for form in ("folded", "none")]
        return [*cells, Cell(*place, "75", "none")]

    def test_it_goes_on_where_it_stopped(
        self, wanted: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "result.json"
        signatures.run(wanted, Result(path))
        first = path.read_bytes()
        monkeypatch.setattr(signatures, "build", _not_again)
        again = Result(path)
        signatures.run(wanted, again)
        assert path.read_bytes() == first
        folded, none, turing = (again.entries[cell] for cell in wanted)
        assert folded["signatures"] == none["signatures"]
        assert folded["norms_stayed"] == 0 and folded["gained_biases"] == []
        assert none["multiplying"].keys() == {"Float"}
        assert "FP32 GEMM is not supported" in turing["refused"]

    def test_another_environment_is_not_mixed_in(self, wanted: list[Cell], tmp_path: Path) -> None:
        result = Result(tmp_path / "result.json")
        result.environment["builder"] = "TensorRT-RTX 1.0"
        result.add(wanted[0], {"refused": "no"})
        with pytest.raises(click.ClickException, match="another environment"):
            Result(tmp_path / "result.json")


def _not_again(*given: object) -> None:
    pytest.fail("it was built before")
