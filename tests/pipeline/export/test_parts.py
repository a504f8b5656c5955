"""A model that runs in parts: each is exported and folded alone, and they compute the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
from torch import Tensor, nn  # noqa: E402  (needs torch)

from models.nmt import nmt_micro  # noqa: E402
from tests.support.networks.trained_like import draw_norms  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402
from un_deploy.pipeline.export.export import export  # noqa: E402
from un_deploy.pipeline.export.parts import part_of  # noqa: E402
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime  # noqa: E402

pytestmark = pytest.mark.torch


class Writer(nn.Module):
    """Each token sees the sum of those up to it, which is the cache."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.norm, self.write = nn.Linear(4, 8), UnifiedNorm(8), nn.Linear(8, 3)

    def logits(self, total: Tensor) -> Tensor:
        return self.write(self.norm(self.read(total)))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x.cumsum(1))

    def parts(self) -> dict[str, nn.Module]:
        return {"first": First(self), "step": Step(self)}


class First(nn.Module):
    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.writer = writer

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        total = x.cumsum(1)
        return {"logits": self.writer.logits(total), "present_total": total[:, -1:]}

    def example_inputs(self) -> dict[str, Tensor]:
        return {"x": torch.ones(2, 5, 4)}


class Step(First):
    def forward(self, x: Tensor, past_total: Tensor) -> dict[str, Tensor]:
        total = past_total + x
        return {"logits": self.writer.logits(total), "present_total": total}

    def example_inputs(self) -> dict[str, Tensor]:
        return {"x": torch.ones(2, 1, 4), "past_total": torch.ones(2, 1, 4)}


@pytest.fixture
def writer() -> nn.Module:
    torch.manual_seed(0)
    return draw_norms(Writer())


def test_folded_parts_compute_the_whole(writer: nn.Module, tmp_path: Path) -> None:
    run = {}
    for name in ("first", "step"):
        path = tmp_path / f"{name}.onnx"
        report = export(writer, path, part=name, untrained=True, require_folded="all")
        assert report.fold is not None and len(report.fold.folded) == 1
        assert report.verification is not None and report.verification.verdict == "proven"
        run[name] = OnnxRuntime(threads=1).load(path).run
    x = torch.randn(3, 7, 4)
    with torch.no_grad():
        wanted = writer(x).numpy()
    found = run["first"]({"x": x[:, :5].numpy()})
    logits = [found["logits"]]
    for place in (5, 6):
        past = {"past_total": found["present_total"]}
        found = run["step"]({"x": x[:, place : place + 1].numpy(), **past})
        logits.append(found["logits"])
    np.testing.assert_allclose(np.concatenate(logits, 1), wanted, rtol=1e-5, atol=1e-5)


def test_the_recipe_says_its_parts_itself() -> None:
    part = part_of(nmt_micro(), "encoder")
    assert set(part.example_inputs()) == {"source_ids", "source_mask"}


class Broken(nn.Module):
    def parts(self) -> dict[str, nn.Module]:
        raise AttributeError("no attribute 'head'")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Broken(), r"^Broken.parts\(\) fails: AttributeError: no attribute 'head'$"),
        (Writer(), r"^Writer has no part 'encoder', only first, step$"),
        (
            nn.Linear(2, 2),
            r"^Linear has no parts: give a model with a method parts\(\), or ",
        ),
    ],
)
def test_what_is_no_part(module: nn.Module, said: str) -> None:
    with pytest.raises(InputError, match=said):
        part_of(module, "encoder")
