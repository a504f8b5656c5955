"""Reports print as a person reads them, as text and in notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

import un_deploy
from tests.support.graphs import NORM, build
from tests.support.reports import report as comparison
from tests.support.reports import restless
from un_deploy.pipeline.doctor import examine
from un_deploy.printed import Part, Printed, Table, Typed, Words


@dataclass(frozen=True)
class Report(Printed):
    """One of every part."""

    name: str

    def told(self) -> Iterator[Part]:
        yield f"About {self.name}"
        rows = [(self.name, "1"), (Words("b", "muted"), "1,000")]
        yield Table(("name", ">count"), rows)
        yield Words("not equal", "bad")
        yield Typed(f"show '{self.name}'")


def test_as_text() -> None:
    assert str(Report("a")).splitlines() == [
        "About a",
        " name   count",
        " ────────────",
        " a          1",
        " b      1,000",
        "not equal",
        "    show 'a'",
    ]
    assert repr(Report("a")) == "Report(name='a')"


def test_a_long_name_stays_whole() -> None:
    assert "n" * 500 in str(Report("n" * 500))


class Seen(HTMLParser):
    """Which elements a page has, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_as_html_a_name_is_text_whatever_it_holds() -> None:
    name = "<script>alert('x')</script> & \"y\""
    seen = Seen(Report(name)._repr_html_())
    assert seen.tags == ["p", "table", "thead", "tr", "th", "th", "tbody",
                         "tr", "td", "td", "tr", "td", "td", "p", "b", "pre"]  # fmt: skip
    assert seen.text.count(name) == 3


GIVEN = {"BuildOptions", "IoFormat", "Range", "Schedule", "Surgery"}
"""Public dataclasses that a user makes; every other one is a result."""


@pytest.mark.torch
def test_every_public_report_prints() -> None:
    import un_deploy.conversion

    found = [getattr(room, name) for room in (un_deploy, un_deploy.conversion)
             for name in room.__all__ if name not in GIVEN]  # fmt: skip
    results = {one for one in found if is_dataclass(one)}
    assert {one.__name__ for one in results if not issubclass(one, Printed)} == set()
    assert {one.__name__ for one in results if one.told is Printed.told} == set()
    assert {one for one in found if str(getattr(one, "__name__", "")).endswith("Report")} <= results


def test_of_a_file(tmp_path: Path) -> None:
    sizes = {"a": (4,), "b": (4,), "w": (4, 4)}
    model = build("float[2,4] x => float[2,4] y", f"{NORM} y = MatMul(n, w)", **sizes)
    folded, report = un_deploy.fold(model)
    assert str(report).splitlines()[-4:] == [
        " Mul_0                     Mul Add            4   MatMul_2",
        "Linear operators that gained a bias: MatMul_2",
        "1 of 1 norms folded; 3 operators before, 2 after.",
        "Proven: it computes what the original does, for all inputs.",
    ]
    un_deploy.save(folded, tmp_path / "folded.onnx")
    read = un_deploy.inspect(tmp_path / "folded.onnx")
    assert "operators: 1 MatMul, 1 Add" in str(read)
    proof = un_deploy.verify(model, folded)
    assert str(proof).endswith("\nproven") and proof._repr_html_().endswith("<p>proven</p>")
    _, stripped = un_deploy.strip(model, nodes=["Add_1"])
    assert str(stripped).endswith("1 norms taken out; 3 operators before, 1 after.")


def test_of_a_machine() -> None:
    said = str(examine(load=False, gpu=False)).splitlines()
    assert said[0].startswith(f"un-deploy {un_deploy.__version__}, Python 3.")
    assert said[-3].split()[:2] == ["ONNX", "file"]


@pytest.mark.torch
def test_of_converted_norms() -> None:
    from torch import nn

    network = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.LayerNorm(4))
    said = str(un_deploy.convert_norms(network, keep="2"))
    assert said.splitlines()[-2:] == [" 2       named by keep", "1 norms swapped: 0."]


def test_of_a_comparison() -> None:
    report = comparison()
    said = str(report)
    assert said.startswith("ort-cpu, the types of the graphs; pixel_values [8, 3, 32, 32]")
    first = report.ratios[0].interval
    assert f"{first.ratio:.3f}   {first.low:.3f} to {first.high:.3f}   slower" in said
    said = str(restless(report))
    assert said.startswith("No figure is to be quoted: the A/A control, UN folded against itself, ")
    assert f"{first.ratio:.3f}   {first.low:.3f} to {first.high:.3f}   unsteady" in said
