"""Tables fit 80 columns: long names lose their middle, numbers nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.text import Text

from tests.cli.conftest import Run
from tests.support.graphs import build
from tests.support.reports import full_report
from un_deploy.cli import show, show_comparison
from un_deploy.graph.model.model_file import save_model
from un_deploy.printed import Table, Typed

LONG = "/model/encoder/layers.11/attention/output/LayerNorm/with_a_long_tail/Mul_12"


@pytest.mark.parametrize(
    ("width", "cut"),
    [(80, "encoder.layers.11.norm"), (22, "encoder.layers.11.norm"), (16, "encoder.la….norm")],
)
def test_the_middle_goes(width: int, cut: str) -> None:
    assert show.elided("encoder.layers.11.norm", width) == cut
    assert len(cut) <= width


def test_wide_letters_count_twice() -> None:
    assert show.elided("層" * 20, 13) == "層層層層…層層"


def test_a_table_of_long_names(capsys: pytest.CaptureFixture[str]) -> None:
    row = (LONG, "Mul Add", "1,234,567", Text(f"{LONG}, {LONG}", style="green"))
    show.table(("norm", "operators", ">channels", "folded into"), [row, row])
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "/model/encoder/l" in told and "…" in told and "Mul_12" in told
    assert told.count("1,234,567") == told.count("Mul Add") == 2


def test_names_that_would_look_alike_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"dinov2.encoder.layer.{n}.layer_scale1" for n in (0, 1)] + [LONG]
    show.table(("norm", "folded into"), [(name, "into " + "x" * 70) for name in names])
    told = capsys.readouterr().out
    first = "".join(line.split("into")[0].split("x")[0].strip() for line in told.splitlines())
    assert names[0] in first and names[1] in first and LONG not in first


def harm(name: str) -> Table:
    row = (name, "0.52", "18.9%", "0.2257 (0.1738 to 0.2775)")
    return Table(("norm", ">input varies", ">unexplained", ">loss"), [row, ("a", *row[1:])], True)


@pytest.mark.parametrize(
    ("length", "shown", "wide"),
    [
        (26, ("18.9%", "0.52"), False),
        (20, ("18.9%", "0.52"), False),
        (30, ("0.52",), False),
        (45, (), False),
        (100, (), True),
    ],
)
def test_names_that_are_to_be_copied_stay_whole(
    capsys: pytest.CaptureFixture[str], length: int, shown: tuple[str, ...], wide: bool
) -> None:
    """Where there is no room other columns go, and that is said."""
    name = "b" * length
    show.told([harm(name)])
    told = capsys.readouterr().out
    assert told.split().count(name) == told.split().count("a") == 1
    assert told.count("0.2257 (0.1738 to 0.2775)") == 2
    assert tuple(one for one in ("18.9%", "0.52") if one in told) == shown
    said = {2: "", 1: "A wider terminal shows unexplained too.",
            0: "A wider terminal shows input varies and unexplained too."}  # fmt: skip
    assert ("A wider" in told) == (len(shown) < 2) and said[len(shown)] in told
    assert (max(map(len, told.splitlines())) > 80) == wide


@pytest.mark.parametrize("length", range(15, 60))
def test_no_name_is_cut_at_any_width(capsys: pytest.CaptureFixture[str], length: int) -> None:
    show.told([harm("b" * length)])
    told = capsys.readouterr().out
    assert "b" * length in told and max(map(len, told.splitlines())) <= max(80, length + 31)


def test_a_wide_terminal_shows_all(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    show.table(("norm", ">channels"), [(LONG, "4")])
    assert LONG in capsys.readouterr().out


def test_reasons_are_wrapped_at_words(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "stays: forward: it does not commute with a scale that differs along this axis"
    show.table(("norm", "folded into"), [(LONG, reason)])
    told = capsys.readouterr().out
    assert set(reason.split()) <= set(told.split())


def test_a_comparison_of_files_far_away(capsys: pytest.CaptureFixture[str]) -> None:
    full = full_report()
    timed = tuple(replace(one, source=f"/data{LONG}.onnx") for one in full.timed)
    show_comparison.comparison(replace(full, timed=timed))
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert f"{full.timed[0].median_s * 1e3:.3f}" in told


def test_what_a_fold_of_long_names_says(run: Run) -> None:
    model = build(
        "float[2,6] x => float[2,4] y", "n = Mul(x, a)  y = MatMul(n, w)", a=(6,), w=(6, 4)
    )
    for node in model.graph:
        node.name = f"{LONG}_{node.op_type}"
    save_model(model, "long.onnx")
    told = run("inspect", "long.onnx").stdout
    rows = [line for line in told.splitlines() if "…" in line]
    assert rows and max(map(len, told.splitlines())) <= 80


def test_what_is_to_be_copied_stays_whole(capsys: pytest.CaptureFixture[str]) -> None:
    path, command = "/there/" + "long/" * 30, 'pip install "un-deploy[torch]" ' * 5
    show.told([f"It is in {path}, that is where it is", Typed(command.strip())])
    told = capsys.readouterr().out.splitlines()
    assert told == ["It is in", f"{path},", "that is where it is", f"    {command.strip()}"]
