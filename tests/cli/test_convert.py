"""un-deploy convert, as docs/convert.md shows it: the whole road of a LayerNorm network's owner."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run

pytest.importorskip("torch")

pytestmark = pytest.mark.torch
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "convert.md").read_text(encoding="utf-8")
COMMANDS = [
    line.replace("--steps 1000", "--steps 10")
    .replace("--max-loss 0.05", "--max-loss 0.25")  # one norm kept: two choices tried
    .replace("--builds 5", "--builds 1 --rounds 2 --sample-ms 1")
    for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.replace("\\\n", " ").strip().splitlines()
]


@pytest.fixture(autouse=True)
def checkout(folder: Path) -> None:
    for name in ("models", "examples"):
        (folder / name).symlink_to(ROOT / name)


PYTHON = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_python_of_the_page() -> None:
    """At small size: the blocks in turn, as they stand but for the steps."""
    import torch

    from tests.conversion.networks import images, pre_norm
    from un_deploy.conversion import measure
    from un_deploy.nn import UnifiedNorm

    def accuracy(model: torch.nn.Module) -> torch.Tensor:
        with torch.no_grad():
            return -model(**images(1, seed=3)[0]).square().mean(1)

    in_hand = {
        "model": pre_norm(), "batches": images(2), "others": images(1, seed=1),
        "accuracy": accuracy,
    }  # fmt: skip
    loading, calibrating, fading = PYTHON
    batch = images(1)[0]["pixel_values"], torch.zeros(32, dtype=torch.int64)
    loaded = {"torch": torch, "loader": [batch] * 4, "others": [batch]}
    exec(loading, loaded)
    harm = measure(pre_norm(), list(loaded["calibration"]()), evaluate=loaded["right"])
    assert len(harm.norms) == 5 and harm.norms[0].loss.samples == 32
    exec(calibrating, in_hand)
    assert isinstance(in_hand["model"].blocks[1].norm1, UnifiedNorm)

    model = pre_norm().train()
    data = [(batch["pixel_values"], torch.zeros(32, dtype=torch.int64)) for batch in images(4)]
    in_hand |= {
        "model": model, "original": pre_norm(), "make": pre_norm, "batch": images(1)[0],
        "loader": data,
        "loss": torch.nn.functional.cross_entropy,
        "optimizer": torch.optim.SGD(model.parameters(), lr=1e-3),
    }  # fmt: skip
    exec(fading.replace("steps=1000", "steps=4, start=0.3, end=0.9"), in_hand)
    assert Path("un.pt").exists() and isinstance(model.norm, UnifiedNorm)


@pytest.mark.slow
def test_the_commands_of_the_page(run: Run, folder: Path, in_this_process: None) -> None:
    """On fewer images, two batches for each purpose."""
    loader = (ROOT / "examples" / "fashion_mnist_loader.py").read_text()
    few = loader.replace("(0, 384)", "(0, 128)").replace("(384, 640)", "(384, 512)")
    assert few.count("batches(0, 128)") == few.count("batches(384, 512)") == 1
    (folder / "examples").unlink()
    (folder / "examples").mkdir()
    (folder / "examples" / "fashion_mnist_loader.py").write_text(few)
    assert [command.split()[1] for command in COMMANDS][:3] == ["convert", "export", "compare"]
    for command in COMMANDS:
        program, *arguments = command.split()
        result = run(*arguments)
        assert program == "un-deploy" and result.exit_code == 0, result.output


def test_one_norm_goes(run: Run) -> None:
    loader = "examples/fashion_mnist_loader.py"
    arguments = (
        "convert", "models/vit.py:vit_micro",
        "--checkpoint", "models/checkpoints/vit_micro_ln_seed0.pt",
        "--data", f"{loader}:heldout", "--keep", "blocks.[012].*", "--keep", "norm",
        "--no-refit", "-o", "un.pt",
    )  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0
    assert "2 norms became a scale and a shift, fitted on 6400 tokens" in result.stdout
    assert "blocks.2.norm1 stays: named by keep." in result.stdout
    assert re.search(r"calibrated in \d+ s: 0\.00\d+ \(0\.00\d+ to 0\.00\d+\)", result.stdout)
    assert result.stdout.endswith("Wrote un.pt\n")

    again = run(*arguments)
    assert again.exit_code == 1 and "un.pt exists" in again.stderr
    report = json.loads(run(*arguments, "--force", "--json").stdout)
    assert list(report["calibration"]["converted"]) == ["blocks.3.norm1", "blocks.3.norm2"]
    assert report["stages"][0]["loss"]["value"] < 0.01


def test_a_loss_above_the_limit(run: Run) -> None:
    loader = "examples/fashion_mnist_loader.py"
    result = run(
        "convert", "models/vit.py:vit_micro",
        "--checkpoint", "models/checkpoints/vit_micro_ln_seed0.pt",
        "--data", f"{loader}:heldout", "--no-refit", "--max-loss", "0.01", "-o", "un.pt",
    )  # fmt: skip
    assert result.exit_code == 3
    assert "above --max-loss 0.01: keep more norms" in result.stderr
    assert not Path("un.pt").exists()
