"""From a LayerNorm checkpoint to a converted one, and on through export and compare."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.conversion.networks import pre_norm  # noqa: E402
from un_deploy.errors import InputError, TargetError, ThresholdError  # noqa: E402
from un_deploy.pipeline.convert import convert  # noqa: E402
from un_deploy.pipeline.export.export import export  # noqa: E402
from un_deploy.pipeline.export.model_spec import load_module  # noqa: E402

pytestmark = pytest.mark.torch
SPEC = "tests/conversion/networks.py:pre_norm"
LOADER = """
from tests.conversion.networks import images
import torch

def many(): return images(8)
def few(): return images(1)
def other(): return images(2, seed=1)
def score(model):
    batch, = images(1, seed=2)
    with torch.no_grad():
        return -model(**batch).square().mean(1)
def tensors(): return (batch["pixel_values"] for batch in images(8))
def tuples(): return [(batch["pixel_values"].numpy(),) for batch in images(8)]
def labelled(): return [(batch["pixel_values"], torch.zeros(32)) for batch in images(8)]
def right(model):
    batch, = images(1, seed=2)
    with torch.no_grad():
        best = model(**batch).argmax(1)
    first.append(best)
    return [float(one == two) for one, two in zip(best, first[0], strict=True)]
first = []
def whole(model): return sum(right(model)) / 32
def broken(model): raise KeyError("gone")
def word(model): return "good"
number = 3
listed = ["a", "b", "c", "d"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.save(pre_norm().state_dict(), tmp_path / "ln.pt")
    (tmp_path / "loader.py").write_text(LOADER)
    return tmp_path


def run(folder: Path, **settings: object):
    given = {"checkpoint": folder / "ln.pt", "data": f"{folder}/loader.py:many"} | settings
    return convert(SPEC, folder / "un.pt", **given)


def test_what_it_writes_exports_and_folds(folder: Path) -> None:
    report = run(folder, heldout=f"{folder}/loader.py:other", keep=["blocks.0.norm1"])
    assert len(report.calibration.converted) == 4 and report.choice is None
    assert 0 < report.loss.value < 1 and report.loss.interval is not None
    done = export(SPEC, folder / "un.onnx", checkpoint=folder / "un.pt")
    assert done.fold is not None and len(done.fold.folded) == 4
    assert [norm.label for norm in done.fold.measuring] == ["blocks.0.norm1"]
    assert done.verification is not None and done.verification.verdict == "proven"


def test_norm_un_builds_it_from_the_network_with_layer_norms(folder: Path) -> None:
    run(folder)
    one, other = (
        load_module(SPEC, checkpoint=folder / "un.pt", norm=norm) for norm in (None, "un")
    )
    for name, value in one.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_what_is_no_layer_norm_network_is_told_without_options_of_export(folder: Path) -> None:
    torch.save(load_module(SPEC, norm="un", untrained=True).state_dict(), folder / "of_un.pt")
    with pytest.raises(InputError, match=r"of_un\.pt is of a network with Unified "):
        run(folder, checkpoint=folder / "of_un.pt")
    (folder / "net.py").write_text(
        "from tests.conversion.networks import pre_norm\nfrom un_deploy.nn import convert_norms\n"
        "def net(): model = pre_norm(); convert_norms(model); return model\n"
    )
    told = r"net builds Unified Normalizations, and .*ln\.pt does not fill them: .* of 5 norms "
    with pytest.raises(InputError, match=told):
        convert(
            f"{folder}/net.py:net",
            folder / "un.pt",
            checkpoint=folder / "ln.pt",
            data=f"{folder}/loader.py:many",
        )


def test_it_chooses_what_stays(folder: Path) -> None:
    report = run(folder, keep=["auto"], max_loss=0.5, refit=False)
    assert report.choice is not None and report.choice.loss.value <= 0.5
    assert len(report.choice.kept) + len(report.calibration.converted) == 5
    assert report.calibration.refitted == ()


def test_the_page_of_what_each_norm_costs(folder: Path) -> None:
    """Of the same norms, whether they were measured to choose or for the page alone."""
    pytest.importorskip("plotly")
    shown = folder / "harm.html"
    report = run(folder, refit=False, html=shown)
    assert report.choice is None and report.harm is not None
    names = [norm.name for norm in report.harm.norms]
    assert names == list(report.calibration.converted)
    text = shown.read_text()
    assert all(f"{norm.name}: {norm.loss}" in text for norm in report.harm.norms)
    assert "Choices, in turn" not in text
    (folder / "un.pt").unlink()
    with pytest.raises(TargetError, match=r"harm\.html exists"):
        run(folder, html=shown)
    chosen = run(folder, keep=["auto"], max_loss=0.5, refit=False, html=shown, force=True)
    assert chosen.measured is None and chosen.harm == report.harm
    assert "Choices, in turn" in shown.read_text()


def test_the_loader_gives_what_the_model_is_called_with(folder: Path) -> None:
    """A dict by name, a tensor, or a tuple of arrays, as Python takes them: one conversion."""
    written = []
    for name in ("many", "tensors", "tuples"):
        run(folder, data=f"{folder}/loader.py:{name}", refit=False, force=True)
        written.append(torch.load(folder / "un.pt")["state_dict"])
    for other in written[1:]:
        assert all(torch.equal(written[0][name], value) for name, value in other.items())


def test_a_checkpoint_that_is_converted_already(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(folder, keep=["norm"], refit=False)
    (folder / "un.pt").rename(folder / "once.pt")
    report = run(folder, checkpoint=folder / "once.pt", refit=False)
    assert len(report.gone_before) == 4 and list(report.calibration.converted) == ["norm"]
    said = f"{folder}/once.pt is converted already, 4 norms of it are gone: every loss here is"
    assert said in str(report).splitlines()[0] and said in caplog.text
    assert "Gone already, as a scale and a shift: blocks.0.norm1, blocks.0.norm2, " in str(report)
    assert "against that network, not against the one with all LayerNorms" in str(report)


def test_a_score_is_printed_before_and_after_with_the_divergence(folder: Path) -> None:
    report = run(folder, evaluate=f"{folder}/loader.py:right", refit=False)
    lines = str(report).splitlines()
    after = report.loss.scores[1]
    assert report.loss.scores[0] == 1 and 0 < after < 1 and report.loss.samples == 32
    assert f": 1.000 -> {after:#.4g} on 32 samples, lost {report.loss}" in lines[-3]
    assert lines[-2] == f"    divergence of the outputs: {report.stages[0].divergence}"
    assert 0 < report.stages[0].divergence.value < 2
    assert "Whether the fits saw them, un-deploy cannot know." in str(report)
    assert "judges, and neither fitted nor chose (64)" in str(report)


def test_a_network_that_answers_with_classes_has_a_score_alone(folder: Path) -> None:
    (folder / "net.py").write_text(
        "from torch import nn\nfrom tests.conversion.networks import pre_norm\n"
        "class Best(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.net = pre_norm()\n"
        "    def forward(self, pixel_values): return self.net(pixel_values).argmax(1)\n"
    )
    (folder / "loader.py").write_text(LOADER.replace("model(**batch).argmax(1)", "model(**batch)"))
    torch.save({f"net.{name}": x for name, x in pre_norm().state_dict().items()}, folder / "l.pt")
    report = convert(
        f"{folder}/net.py:Best", folder / "un.pt", checkpoint=folder / "l.pt", refit=False,
        data=f"{folder}/loader.py:many", evaluate=f"{folder}/loader.py:right",
    )  # fmt: skip
    assert report.stages[0].divergence is None and "divergence" not in str(report)


def test_what_chose_and_what_judged_is_said(folder: Path) -> None:
    text = str(run(folder, keep=["auto"], max_loss=0.5, refit=False))
    assert "On the half of the held-out samples that chooses (64), divergence of the" in text
    assert "\n  With 0 kept the rest costs " in text
    assert "On the half of the held-out samples that judges, and neither fitted nor chose" in text


def test_one_number_is_held_against_the_limit_and_that_is_said(folder: Path) -> None:
    report = run(folder, evaluate=f"{folder}/loader.py:whole", max_loss=0.9, refit=False)
    text = str(report)
    assert f"-> {report.loss.scores[1]:#.4g}, one number, lost {report.loss}" in text
    assert "One number has no interval: its value alone is within max_loss 0.9." in text


def test_the_upper_end_is_held_against_the_limit(folder: Path) -> None:
    """What is measured is below it, what is shown is not."""
    report = run(folder, evaluate=f"{folder}/loader.py:right", refit=False)
    between = (report.loss.value + report.loss.most) / 2
    with pytest.raises(ThresholdError, match=r"not shown to be below .* 32 samples do not show"):
        run(folder, evaluate=f"{folder}/loader.py:right", refit=False, max_loss=between, force=True)


def test_training_brings_it_nearer(folder: Path) -> None:
    report = run(folder, refit=False, finetune=f"{folder}/loader.py:many", steps=40)
    calibrated, trained = report.stages
    assert (calibrated.name, trained.name) == ("calibrated", "trained")
    assert trained.loss.value < 0.9 * calibrated.loss.value and report.loss == trained.loss


def test_a_score(folder: Path) -> None:
    report = run(folder, evaluate=f"{folder}/loader.py:score")
    assert report.metric.endswith("loader.py:score") and not report.judged_by_what_chose
    report = run(
        folder, evaluate=f"{folder}/loader.py:score", keep=["auto"], max_loss=1e3, force=True
    )
    assert report.judged_by_what_chose


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"data": "loader.py:few"}, InputError, "gives 1 batch: give at least four"),
        ({"heldout": "loader.py:few"}, InputError, "heldout gives one batch"),
        ({"keep": ["auto"]}, InputError, "keep auto needs max_loss"),
        ({"max_loss": float("nan")}, InputError, "max_loss is no number"),
        ({"learning_rate": 0.0}, InputError, "learning_rate must be above 0"),
        ({"evaluate": "loader.py:number"}, InputError, "is int, not a function"),
        ({"evaluate": "loader.py:broken"}, InputError, "fails: KeyError: 'gone'"),
        ({"evaluate": "loader.py:word"}, InputError, "evaluate gave str"),
        ({"padding": "loader.py:broken"}, InputError, "fails: KeyError: 'gone'"),
        ({"steps": 3}, InputError, "finetune and steps go together"),
        ({"keep": ["nothing"]}, InputError, "matches no normalization"),
        ({"data": "loader.py:labelled"}, InputError, "2 parts are positional arguments"),
        ({"data": "loader.py:number"}, InputError, "gives 1 batch: give at least four"),
        ({"data": "loader.py:listed"}, InputError, "gives str: a batch is a tensor or an array"),
        (
            {"evaluate": "loader.py:right", "max_loss": 0.001},
            InputError,
            r"32 samples cannot show a loss below 0\.13 even where not one changes",
        ),
        ({"max_loss": 1e-9}, ThresholdError, "above max_loss 1e-09"),
        ({"keep": ["auto"], "max_loss": -1.0}, ThresholdError, "not one LayerNorm can go"),
    ],
)
def test_refusals_write_nothing(folder: Path, settings: dict, error: type, said: str) -> None:
    settings = {
        name: f"{folder}/{value}" if name in ("data", "heldout", "evaluate", "padding") else value
        for name, value in settings.items()
    }
    with pytest.raises(error, match=said):
        run(folder, **settings)
    assert not (folder / "un.pt").exists()


def test_an_existing_target_is_said_at_once(folder: Path) -> None:
    (folder / "un.pt").write_text("mine")
    with pytest.raises(TargetError, match="exists"):
        run(folder, data="nowhere.py:none")
    with pytest.raises(InputError, match=r"is a \.pt file"):
        convert(SPEC, folder / "un.onnx", checkpoint=folder / "ln.pt", data="x.py:y")
