"""A clock that moves while something is timed is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from un_deploy.measure.speed import clocks


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``tell("1410")``: what a double of nvidia-smi prints from now on."""
    program = tmp_path / "nvidia-smi"
    monkeypatch.setattr(clocks, "which", lambda name: str(program))

    def says(text: str, code: int = 0) -> None:
        program.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
        program.chmod(0o755)

    says("1410")
    return says


def test_a_clock_that_stays_is_not_mentioned(tell) -> None:
    assert clocks.sm_clock() == 1410
    assert clocks.watched(lambda: 7) == (7, "")


def test_a_clock_that_moves_is(tell) -> None:
    result, warning = clocks.watched(lambda: tell("1200"))
    assert result is None
    assert "moved from 1410 to 1200 MHz, it is not locked" in warning


@pytest.mark.parametrize(("text", "code"), [("", 0), ("[N/A]", 0), ("1410", 9)])
def test_where_nvidia_smi_does_not_tell_nothing_is_said(tell, text: str, code: int) -> None:
    tell(text, code)
    assert clocks.sm_clock() is None
    assert clocks.watched(lambda: tell("1200")) == (None, "")


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "which", lambda name: None)
    assert clocks.watched(lambda: 7) == (7, "")
