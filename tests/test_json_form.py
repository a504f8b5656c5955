"""A report is written field by field, and read again into an equal one; damage is one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.support.reports import full_report, kept
from un_deploy.errors import InputError
from un_deploy.json_form import SAMPLES, JsonForm, from_dict, read_object
from un_deploy.measure.speed.compare_report import CompareReport

COMMITTED = sorted(Path(__file__).parents[1].glob("benchmarks/results/compare/*.json"))


@dataclass(frozen=True)
class Wheel:
    inches: float
    spokes: int | str | None = None


@dataclass(frozen=True)
class Bicycle(JsonForm):
    name: str
    kind: Literal["road", "touring"]
    wheels: tuple[Wheel, ...]
    ridden: bool = False
    parts: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def json_form(self, given: dict[str, Any]) -> dict[str, Any]:
        return {**given, "count": len(self.wheels)}


@dataclass(frozen=True)
class Race(JsonForm):
    best_s: float
    rounds_s: tuple[float, ...] = field(metadata=SAMPLES)
    winner: Bicycle | None = None


BICYCLE = Bicycle("Ada", "road", (Wheel(28, "many"), Wheel(27.5)), parts={"gears": (3, 9)})
PLAIN = {
    "name": "Ada",
    "kind": "road",
    "wheels": [{"inches": 28, "spokes": "many"}, {"inches": 27.5, "spokes": None}],
    "ridden": False,
    "parts": {"gears": [3, 9]},
    "count": 2,
}


def test_the_fields_are_written_in_their_order_and_read_again() -> None:
    assert BICYCLE.to_json() == json.dumps(PLAIN, indent=2) + "\n"
    read = from_dict(Bicycle, read_object(BICYCLE.to_json()))
    assert read == BICYCLE
    assert read.to_json() == BICYCLE.to_json()  # 28 has not become 28.0


def test_a_field_with_a_default_may_be_missing() -> None:
    told = {"name": "Ada", "kind": "road", "wheels": []}
    assert from_dict(Bicycle, told) == Bicycle("Ada", "road", ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 3}, "3 is no str @ $.name"),
        ({"kind": "race"}, "'race' is none of road, touring @ $.kind"),
        ({"wheels": [{"spokes": 3}]}, "required field missing @ $.wheels[0].inches"),
        ({"wheels": ["round"]}, "'round' is no dict @ $.wheels[0]"),
        ({"wheels": [{"inches": True}]}, "True is no float @ $.wheels[0].inches"),
        ({"wheels": [{"inches": 2, "rim": 1}]}, "extra fields found (rim) @ $.wheels[0]"),
        ({"parts": {"gears": 3}}, "'int' object is not iterable @ $.parts['gears']"),
        ({"ridden": None}, "None is no bool @ $.ridden"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        from_dict(Bicycle, PLAIN | change)
    assert str(error.value) == message


@pytest.mark.parametrize("text", ["{", "[1]", "3", b"\xff", "[" * 100_000])
def test_what_is_no_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(InputError):
        read_object(text)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_committed_report_of_an_older_form_is_written_as_it_was_and_more(path: Path) -> None:
    """They have no date, no command, no load and no SHA-256."""
    report = CompareReport.read(path)
    now, then = report.to_dict(), json.loads(path.read_text(encoding="utf-8"))
    assert now["date"] == "" and "date" not in then
    assert kept(then, now) == then
    assert CompareReport.from_json(report.to_json(), "it") == report


def test_there_are_six_of_them() -> None:
    assert len(COMMITTED) == 6


def test_a_report_that_is_damaged_anywhere_is_refused_in_one_line() -> None:
    whole = json.loads(full_report().to_json())
    refused = 0
    for path in places(whole):
        for wrong in (None, "x", [3]):
            damaged = at = copy.deepcopy(whole)
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = wrong
            try:
                CompareReport.from_json(json.dumps(damaged), "it")
            except InputError as error:
                refused += 1
                assert str(error).startswith("it is ")
                assert "\n" not in str(error)
    assert refused > 400


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a JSON value, of lists to their first entry alone."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else []
    for key, part in list(enumerate(value))[:1] if isinstance(value, list) else inside:
        yield from places(part, (*path, key))


def test_samples_are_left_out_at_any_depth() -> None:
    @dataclass(frozen=True)
    class Season(JsonForm):
        races: tuple[Race, ...]

    season = Season((Race(1.5, (1.5, 1.7)),))
    assert season.to_dict() == {"races": [{"best_s": 1.5, "rounds_s": [1.5, 1.7], "winner": None}]}
    short = {"races": [{"best_s": 1.5, "winner": None}]}
    assert season.to_dict(samples=False) == json.loads(season.to_json(samples=False)) == short
