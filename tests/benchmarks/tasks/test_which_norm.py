"""The page's figures are those of the result files, and made logs give the tables they should."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.tasks import scores, which_norm
from benchmarks.tasks.verdicts import Difference


def write_log(path: Path, *lines: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def epochs(*accuracies: float) -> list[dict]:
    return [{"event": "epoch", "test_accuracy": one} for one in accuracies]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LN and UN of three seeds on images, with made accuracies; an unfinished fourth of LN."""
    folder = tmp_path / "fashion_mnist"
    for seed in range(3):
        for norm, end in (("ln", 0.86 + seed / 100), ("un-scaled", 0.861 + seed / 100)):
            lines = [*epochs(0.7, 0.81, end), {"event": "end", "test_accuracy": end}]
            write_log(folder / f"vit_micro_{norm}_seed{seed}.jsonl", {"event": "start"}, *lines)
    write_log(folder / "vit_micro_ln_seed3.jsonl", {"event": "start"}, *epochs(0.1))
    end = {"event": "end", "test_accuracy": 0.85}
    write_log(folder / "vit_micro_ln_seed0_outliers.jsonl", end)
    for name in ("accuracy", "epochs_to"):
        monkeypatch.setattr(scores, name, _with_folder(getattr(scores, name), folder))
    return tmp_path


def _with_folder(function, folder: Path):
    return lambda *given, **named: function(*given, folder=folder, **named)


def test_the_page_holds_what_the_files_say() -> None:
    text = which_norm.PAGE.read_text(encoding="utf-8")
    assert which_norm.page(text) == text, "python -m benchmarks.tasks.which_norm writes it"
    assert sorted(re.findall(r"<!-- written: (.+) -->", text)) == sorted(which_norm.PARTS)


def test_the_links_of_the_page_lead_somewhere() -> None:
    for link in re.findall(r"\]\(((?!https?:)[^)#]+)", which_norm.PAGE.read_text(encoding="utf-8")):
        assert (which_norm.PAGE.parent / link).exists(), link


def test_only_runs_that_have_ended_count(results: Path) -> None:
    assert scores.accuracy("ln") == pytest.approx({0: 86.0, 1: 87.0, 2: 88.0})
    assert scores.accuracy("dyt") == {}


def test_epochs_are_counted_to_the_first_that_reaches_it(results: Path) -> None:
    assert scores.epochs_to("ln", 80) == 2
    assert scores.epochs_to("ln", 87) == 3
    assert scores.epochs_to("ln", 87.01) is None
    assert scores.epochs_to("dyt", 80) is None


def test_the_accuracy_table(results: Path) -> None:
    lines = which_norm.accuracy()
    assert "| LN | 3 | 87.00 | 1.00 | 86.00, 88.00 |" in lines
    assert "| DyT | 0 | not yet measured |  |  |" in lines
    early = "as good (so far 3 of 5 seeds)"
    assert "| LN - UN | 3 | -0.10 | 0.00 | -0.10 to -0.10 | " in "\n".join(lines)
    pair = next(line for line in lines if line.startswith("| LN - UN"))
    assert pair.endswith(f"| worse (so far 3 of 5 seeds) | {early} |")
    assert "| UN - DyT | 0 | not yet measured |  |  |  |  |" in lines


def test_steps_and_outliers(results: Path) -> None:
    assert "| LN | 3 | 2 (938 steps) | 3 (1,407 steps) |" in which_norm.steps()
    assert "| DyT | 0 | not yet measured |  |" in which_norm.steps()
    assert "| LN | 86.00 | 85.00 | -1.00 |" in which_norm.outliers()
    assert "| UN | 86.10 | not yet measured | not yet measured |" in which_norm.outliers()


def test_another_start_of_alpha_stands_beside_the_usual_one(results: Path) -> None:
    for start, end in (("", 0.8), ("_alpha2", 0.85)):
        name = f"vit_micro_dyt_seed1{start}.jsonl"
        write_log(results / "fashion_mnist" / name, {"event": "end", "test_accuracy": end})
    rows = {line.split(" | ")[0]: line.split(" | ")[2:] for line in which_norm.alpha()}
    assert rows["| LN"] == ["86.00", "87.00 |"]
    assert rows["| DyT, alpha 0.5"] == ["not yet measured", "80.00 |"]
    assert rows["| DyT, alpha 2"] == ["not yet measured", "85.00 |"]
    assert rows["| Derf, alpha 2"] == ["not yet measured", "not yet measured |"]


def test_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "RESULTS", tmp_path)
    (tmp_path / "tasks").mkdir()
    plan = {"kernels": 77, "bytes_written": 107_800_000}
    entry = {"norm": "dyt", "batch": "1", "left": {"Mul": 25, "Tanh": 25}}
    entry["engines"] = {"fp32": plan | {"kernels": 173}, "fp16": plan}
    bare = entry | {"norm": "none", "left": {}}
    (tmp_path / "tasks" / "left.json").write_text(json.dumps({"entries": [entry, bare]}))
    unknown = "not yet measured"
    rest = f"{unknown} | {unknown} | 107.8 / 107.8 | {unknown} |"
    assert f"| DyT | 25 Mul, 25 Tanh | 173 / 77 | {rest}" in which_norm.left()
    assert f"| no norm | nothing | 173 / 77 | {rest}" in which_norm.left()
    assert f"| LN{f' | {unknown}' * 6} |" in which_norm.left()


def test_what_is_said_of_un(results: Path) -> None:
    assert which_norm.where_un_stands()[0] == (
        "- images, UN beside LN: UN is as good, and the other is worse "
        "(+0.10, +0.10 to +0.10, 3 seeds)."
    )
    worse = Difference(5, -1.0, 0.1, -1.1, -0.9)
    assert which_norm.told_of(worse, 0.3) == "UN is worse (-1.00, -1.10 to -0.90, 5 seeds)."
    wide = Difference(3, 1.0, 3.0, -2.0, 4.0)
    assert which_norm.told_of(wide, 0.5).startswith("that UN is as good is not shown (+1.00")
    assert which_norm.told_of(None, 0.5) == "not yet measured."


def test_translation_and_folded_of_made_logs(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(scores, "RESULTS", tmp_path)
    for name in ("bleu", "translation_loss"):
        function = _with_folder(getattr(scores, name), tmp_path / "translation")
        monkeypatch.setattr(scores, name, function)
    parts = {"same": 998, "bleu": 20.5, "differ_beyond_margin": 0}
    for seed, score in enumerate((20.0, 21.0)):
        end = {"event": "end", "bleu": score, "sentences": 1000, "folded": parts}
        write_log(tmp_path / "translation" / "judged" / f"nmt_un_seed{seed}.jsonl", end)
        end = {"event": "end", "test_loss": 3.25}
        write_log(tmp_path / "translation" / f"nmt_un_seed{seed}.jsonl", end)
    write_log(
        tmp_path / "translation" / "bfloat16.jsonl",
        {"event": "end", "norms": {"un": {"finite": True, "apart": 0.0012}}},
    )
    lines = which_norm.translation()
    assert "| UN | 2 | 20.50 | 0.71 | 20.00, 21.00 |" in lines
    assert "| UN | 3.250 | not yet measured | not yet measured | yes, 0.12 % |" in lines
    assert (
        "| UN, translation, BLEU | 20.50 | 20.50 | 4 | 0 beyond PyTorch's margin |"
        in which_norm.folded()
    )
    log = {"event": "end", "test_accuracy": 0.88, "folded_accuracy": 0.8801, "other_class": 1}
    log |= {"largest_difference": 1e-5, "largest_logit": 10.0}
    write_log(tmp_path / "fashion_mnist" / "folded" / "vit_micro_dyt_seed0.jsonl", log)
    assert "| DyT, images, % | 88.00 | 88.01 | 1 | 1.0e-06 of logits |" in which_norm.folded()
