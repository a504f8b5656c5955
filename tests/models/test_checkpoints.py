"""The kept checkpoints: they load, are small, and score what their logs say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from models.fashion_mnist import data, train  # noqa: E402  (needs torch)
from models.fashion_mnist.norms import NORMS  # noqa: E402
from models.vit import vit_micro  # noqa: E402

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
CHECKPOINTS = ROOT / "models" / "checkpoints"
SUMMARY = json.loads((CHECKPOINTS / "summary.json").read_text())

names = pytest.mark.parametrize("name", ["vit_micro_ln_seed0", "vit_micro_un_seed0"])


@names
def test_weights_load_and_score_what_the_summary_says(name: str) -> None:
    path = CHECKPOINTS / f"{name}.pt"
    assert path.stat().st_size < 1_000_000
    state = torch.load(path, weights_only=True)
    assert {v.dtype for v in state.values() if v.is_floating_point()} == {torch.float32}
    model = vit_micro(norm_layer=NORMS[SUMMARY[name]["norm"]])
    model.load_state_dict(state, strict=True)

    images, labels = data.load_kept()
    kept = train.Dataset(
        torch.from_numpy(data.pixel_values(images)), torch.from_numpy(labels.astype("int64"))
    )
    _, correct = train.evaluate(model, kept)
    # Another processor may round a tie between two classes the other way: one image of slack.
    assert abs(int(correct.sum()) - round(1000 * SUMMARY[name]["kept_accuracy"])) <= 1


@names
def test_the_summary_is_the_log_s(name: str) -> None:
    summary = SUMMARY[name]
    lines = [json.loads(line) for line in (ROOT / summary["log"]).read_text().splitlines()]
    assert lines[0]["config"]["norm"] == summary["norm"]
    assert lines[0]["config"]["seed"] == summary["seed"]
    epochs = [line for line in lines if line["event"] == "epoch"]
    assert [line["epoch"] for line in epochs] == list(range(1, train.Config.epochs + 1))
    assert lines[-1]["event"] == "end"
    # The last epoch's accuracy, whether or not an earlier one was better.
    assert epochs[-1]["test_accuracy"] == lines[-1]["test_accuracy"] == summary["test_accuracy"]
    assert lines[-1]["kept_accuracy"] == summary["kept_accuracy"]
