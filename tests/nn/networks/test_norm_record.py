"""The record of a converted model's norms makes norms like them, those of earlier records too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from un_deploy.nn import UnifiedNorm  # noqa: E402
from un_deploy.nn.networks.pretrained import RECORD, _arguments, _read_record  # noqa: E402

pytestmark = pytest.mark.torch


def read(folder: Path, arguments: dict[str, Any]) -> UnifiedNorm:
    record = {"version": 1, "norms": {"norm": arguments}}
    (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")
    found = _read_record(folder)["norm"]
    assert found is not None
    return UnifiedNorm(**found)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"bias": False, "eps": 0.25},
        {"elementwise_affine": False, "channel_first": True},
        {"mode": "official", "window_size": (4, 2), "outlier_filtration": True},
        {"mode": "paper", "momentum": 0.5, "warmup_iters": 7},
    ],
)
def test_a_norm_comes_back_from_its_record(tmp_path: Path, settings: dict[str, Any]) -> None:
    norm = UnifiedNorm(8, **settings)
    found = read(tmp_path, _arguments(norm))
    assert repr(found) == repr(norm)
    assert (found.rule, found.mode) == (norm.rule, norm.mode)
    assert list(found.state_dict()) == list(norm.state_dict())


def test_a_record_of_before_has_another_name_for_the_channels(tmp_path: Path) -> None:
    found = read(tmp_path, {"num_channels": 8, "eps": 0.25, "mode": "paper"})
    assert (found.num_channels, found.eps, found.mode) == (8, 0.25, "paper")
    assert found.weight is not None and found.bias is not None
