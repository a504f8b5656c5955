"""The official rule repeats the released module's recorded numbers, tensor by tensor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch

RECORDS = sorted((Path(__file__).parent / "data" / "un1d").glob("*.npz"))
SETTINGS = ("window_size", "warmup_iters", "outlier_filtration", "eps", "momentum")
STATE = ("running_var", "ema_gz", "buffer_x2", "buffer_gz")
COUNTERS = ("iters", "skip_counter")


def assert_close(got: torch.Tensor, recorded: np.ndarray) -> None:
    """Largest absolute error below 2e-6 (17 ulp of float32) of the largest absolute value."""
    assert got.shape == recorded.shape
    error = np.abs(got.detach().numpy() - recorded).max()
    assert error <= 2e-6 * np.abs(recorded).max()


def test_there_are_twelve_records() -> None:
    assert len(RECORDS) == 12


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_repeats_the_recorded_training(path: Path) -> None:
    record = np.load(path)
    config = json.loads(str(record["config"]))
    window = config["window_size"]
    settings = {name: config[name] for name in SETTINGS}
    settings["window_size"] = tuple(window) if isinstance(window, list) else window
    norm = UnifiedNorm(config["channels"], mode="official", **settings)
    start = {key[5:]: torch.from_numpy(record[key]) for key in record.files if key[:5] == "init/"}
    norm.load_state_dict(start)

    for step in range(config["steps"]):
        now = {key[5:]: record[key][step] for key in record.files if key[:5] == "step/"}
        x = torch.from_numpy(now["x"]).requires_grad_()
        norm.zero_grad()
        y = norm(x, torch.from_numpy(now["mask"]) if config["masked"] else None)
        y.backward(torch.from_numpy(now["dy"]))

        assert_close(y, now["y"])
        for got, name in (
            (x.grad, "dx"),
            (norm.weight.grad, "dweight"),
            (norm.bias.grad, "dbias"),
        ):
            assert got is not None
            assert_close(got, now[name])
        for name in STATE:
            assert_close(getattr(norm, name), now[name])
        for name in COUNTERS:
            assert np.array_equal(getattr(norm, name).numpy(), now[name])

    assert_close(norm.eval()(torch.from_numpy(record["eval/x"])), record["eval/y"])


def test_state_keys_are_the_released_checkpoints() -> None:
    norm = UnifiedNorm(6, mode="official", window_size=(4, 2))
    shapes = {name: tuple(value.shape) for name, value in norm.state_dict().items()}
    assert shapes == {
        "weight": (6,),
        "bias": (6,),
        "running_var": (6,),
        "ema_gz": (6,),
        "buffer_x2": (4, 6),
        "buffer_gz": (2, 6),
        "iters": (1,),
        "skip_counter": (1,),
    }


@pytest.mark.parametrize("window", [0, (4, 0), (4, 4, 4), "4", 2.0, True])
def test_refuses_a_window_that_is_none(window: object) -> None:
    with pytest.raises(InputError, match="window_size"):
        UnifiedNorm(4, mode="official", window_size=window)
