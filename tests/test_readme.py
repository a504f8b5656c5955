"""What README shows runs, and prints what README says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import un_deploy
from tests.support.comparing import compare_here
from tests.support.reports import kept
from un_deploy import UnifiedNorm
from un_deploy.cli import main
from un_deploy.measure.speed.compare_report import CompareReport

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.torch
@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: " ".join(block.split()[:2]))
def test_the_commands_run(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare_here(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").symlink_to(ROOT / "models")
    commands = block.replace("\\\n", " ").strip().splitlines()
    assert commands
    for command in commands:
        program, *arguments = command.split()
        assert program == "un-deploy"
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output


def test_there_are_commands_to_run() -> None:
    assert len(BLOCKS) == 2


@pytest.mark.torch
def test_the_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a small network; the one that the reader trained is made trained here."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    nn = torch.nn

    class Network(nn.Module):
        def __init__(self, norm_layer: type) -> None:
            super().__init__()
            self.first, self.linear = norm_layer(4), nn.Linear(4, 4)
            self.second, self.head = norm_layer(4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.second(x + self.linear(self.first(x))))

    def trained(norm_layer: type) -> nn.Module:
        made = Network(norm_layer)
        for _ in range(20):
            made(torch.randn(8, 3, 4))
        return made.eval()

    compare_here(monkeypatch)
    monkeypatch.chdir(tmp_path)
    x = torch.randn(8, 3, 4)
    for name, norm, fold in (("ln", nn.LayerNorm, True), ("file", UnifiedNorm, False)):
        un_deploy.export(trained(norm), f"{name}.onnx", inputs={"x": x}, fold=fold)
    (block,) = re.findall(r"```python\n(import un_deploy\n.*?)```", README, flags=re.DOTALL)
    exec(block, {"MyTransformer": trained, "x": x, "graph": "file.onnx"})
    said = capsys.readouterr().out
    assert "2 of 2 norms folded" in said and said.endswith("\nproven\n")
    page = Path("page.html").read_text(encoding="utf-8")
    assert all(title in page for title in ("LN", "UN unfolded", "UN folded", "no norm"))


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!https?:)[^)]+)\)", README))
def test_the_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("norm", ["ln", "un"])
def test_the_accuracies_are_those_of_the_logs(norm: str) -> None:
    log = ROOT / "benchmarks" / "results" / "fashion_mnist" / f"vit_micro_{norm}_seed0.jsonl"
    end = log.read_text(encoding="utf-8").splitlines()[-1]
    accuracy = re.search(r'"test_accuracy": ([0-9.]+)', end)
    kept = re.search(r'"kept_accuracy": ([0-9.]+)', end)
    assert accuracy is not None and kept is not None
    assert f"{100 * float(accuracy[1]):.2f} %" in README
    assert f"{100 * float(kept[1]):.2f}%" in README


@pytest.mark.parametrize(
    "report",
    sorted((ROOT / "benchmarks" / "results" / "compare").glob("*.json")),
    ids=lambda p: p.stem,
)
def test_the_ratios_are_those_of_the_reports(report: Path) -> None:
    data = json.loads(report.read_text(encoding="utf-8"))
    wanted = {("ln", "folded"), ("unfolded", "folded"), ("folded", "none"), ("folded", "folded")}
    shown = [r for r in [*data["ratios"], data["control"]] if (r["of"], r["to"]) in wanted]
    assert len(shown) == 4
    for ratio in shown:
        interval = ratio["interval"]
        text = f"{interval['ratio']:.3f} ({interval['low']:.3f} to {interval['high']:.3f})"
        assert text in README
    assert kept(data, CompareReport.read(report).to_dict()) == data  # un-deploy still reads it
