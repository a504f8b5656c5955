"""The median of a window, in each of the ways it is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from un_deploy.nn import statistics  # noqa: E402
from un_deploy.nn.statistics import EMPTY, Window  # noqa: E402

pytestmark = pytest.mark.torch


def window(length: int, counted: int) -> Window:
    """So many entries of three channels, after so many iterations; some moments are 0 or equal."""
    entries = torch.rand(length, 3, generator=torch.Generator().manual_seed(length + counted))
    entries[-1, 0] = 0
    entries[-2:, 1] = 0.5
    entries[: max(0, length - 1 - counted)] = EMPTY
    return Window(entries, torch.tensor([counted]))


@pytest.fixture(params=["host", "device", "compiled"])
def median(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`Window.median` in one of its ways; for a device, on the CPU."""
    monkeypatch.setattr(statistics, "is_on_host", lambda _: request.param == "host")
    if request.param == "compiled":
        return torch.compile(Window.median, fullgraph=True, backend="eager")
    return Window.median


@pytest.mark.parametrize("length", [9, 10])
def test_the_median_is_that_of_the_moments_there_are(median: Any, length: int) -> None:
    for counted in range(length + 3):
        found = window(length, counted)
        moments = found.entries[-counted - 1 :].numpy()
        np.testing.assert_allclose(median(found), np.median(moments, axis=0), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_four_of_nine_moments_may_be_no_numbers(median: Any, bad: float) -> None:
    found = window(9, 8)
    found.entries[[0, 3, 4, 7]] = bad
    others = found.entries[[1, 2, 5, 6, 8]]
    assert torch.equal(median(found), others.amax(0))
