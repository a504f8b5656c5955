"""A slice of `python -m benchmarks.killed_runs`: the target is the old file or the new one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.killed_runs import FORMS, SIGNALS, Place


@pytest.mark.parametrize("form", FORMS)
def test_runs_that_are_killed_while_they_write(tmp_path: Path, form: str) -> None:
    place = Place(tmp_path / "place", form, width=300)
    draw = np.random.default_rng(0)
    runs = [place.killed(name, True, draw) for name in SIGNALS]
    assert [run.wrong for run in runs] == [""] * 3
    assert {run.target for run in runs} <= {"old", "new"}
