"""The profile file: names that are not JSON, names that repeat, layers that never ran."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from un_deploy.errors import InputError
from un_deploy.runtime.trtexec.profile_file import LayerTime, Profile, parse_profile, write_profile

NASTY = [
    'a "quoted" name',
    "ends with a backslash\\",
    r"a\new \u0041 \" name",
    "{ForeignNode[/a/MatMul.../b/Add]}",
    'looks like an end", "timeMs" : 1',
    'an entry", "timeMs" : 1, "averageMs" : 1, "medianMs" : 1, "percentage" : 1 } and more',
    ', { "name" : "an entry',
    "two\nlines",
    "\u2028 and \x0b and \x1f and é",
    "",
]
"""trtexec prints all of these as they are."""

# One line of letters from what the form itself is made of, so that collisions are likely.
NAMES = st.lists(
    st.sampled_from(
        ['"', "\\", ",", "{", "}", "[", "]", " ", " : ", "name", '", "timeMs" : 1', "é"]
    )
).map("".join)
LAYER = '"averageMs" : 0.2, "medianMs" : 0.1, "percentage" : 50 }'


def printed(*names: str) -> str:
    """As trtexec prints layers that took 8 ms in 40 iterations."""
    layers = "".join(f', {{ "name" : "{name}", "timeMs" : 8, {LAYER}\n' for name in names)
    return f'[\n  {{ "count" : 40 }}\n{layers}]\n'


def expected(*names: str) -> Profile:
    return Profile(40, tuple(LayerTime(name, 8e-3, 0.2e-3, 0.1e-3) for name in names))


def test_names_stand_as_they_are() -> None:
    assert parse_profile(printed(*NASTY)) == expected(*NASTY)


def test_names_repeat_in_the_order_of_execution() -> None:
    assert parse_profile(printed("a", "b", "a", "a")) == expected("a", "b", "a", "a")


@given(st.lists(NAMES, max_size=4))
def test_any_names_are_read_as_printed(names: list[str]) -> None:
    assert parse_profile(printed(*names)) == expected(*names)


@given(st.lists(st.text(), max_size=4))
def test_any_names_are_read_as_written(names: list[str]) -> None:
    text = write_profile([(name, [1e-3, 3e-3]) for name in names])
    assert [layer.name for layer in parse_profile(text).layers] == names
    assert [entry["name"] for entry in json.loads(text)[1:]] == names


@pytest.mark.parametrize("nan", ["nan", "-nan", "-nan(ind)"])
def test_a_layer_that_never_ran_has_no_average(nan: str) -> None:
    text = printed("a", "b").replace("8, " + LAYER, f'0, "averageMs" : {nan}, {LAYER[19:]}', 1)
    assert nan in text
    assert parse_profile(text).layers == (
        LayerTime("a", 0.0, None, None),
        LayerTime("b", 8e-3, 0.2e-3, 0.1e-3),
    )


def test_an_engine_without_layers() -> None:
    assert parse_profile(printed()) == Profile(40, ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("]\n", "", "it may be cut off"),
        ("[\n", "", "it may be cut off"),
        ('"count"', '"counts"', 'does not begin with its "count"'),
        ('"timeMs" : 8, ', "", 'no layer in its form at: , { "name" : "a"'),
        ('"timeMs" : 8', '"timeMs" : ', "no layer in its form"),
        ('"timeMs" : 8', '"timeMs" : nan', "gives layer a no time"),
        ('"timeMs" : 8', '"timeMs" : inf', "gives layer a inf ms"),
        ('"timeMs" : 8', '"timeMs" : -8', "gives layer a -8"),
        (', { "name"', ', { "Name"', "no layer in its form"),
    ],
)
def test_another_form_is_refused(old: str, new: str, message: str) -> None:
    text = printed("a")
    assert old in text
    with pytest.raises(InputError, match=message):
        parse_profile(text.replace(old, new))


def test_what_is_written_has_trtexecs_numbers() -> None:
    text = write_profile([("a", [1e-3, 2e-3, 6e-3]), ("b", [1e-3, 1e-3, 1e-3])])
    count, a, b = json.loads(text)
    assert count["count"] == 3
    assert a == {
        "name": "a",
        "timeMs": pytest.approx(9, rel=1e-15),
        "averageMs": pytest.approx(3, rel=1e-15),
        "medianMs": pytest.approx(2, rel=1e-15),
        "percentage": pytest.approx(75, rel=1e-15),
    }
    assert b["percentage"] == pytest.approx(25, rel=1e-15)
    found = parse_profile(text)
    assert found.iterations == 3
    assert found.layers[0].median_s == pytest.approx(2e-3, rel=1e-15)


def test_layers_without_a_time_are_written_and_read() -> None:
    assert parse_profile(write_profile([("a", [])])).layers == (LayerTime("a", 0, None, None),)
    assert parse_profile(write_profile([])) == Profile(0, ())


def test_layers_of_different_runs_are_not_mixed() -> None:
    with pytest.raises(InputError, match=r"different numbers of iterations: \[1, 2\]"):
        write_profile([("a", [1e-3]), ("b", [1e-3, 1e-3])])


def test_a_written_file_that_was_edited_is_refused() -> None:
    text = write_profile([("a", [1e-3])])
    with pytest.raises(InputError, match="an entry without 'timeMs'"):
        parse_profile(text.replace("timeMs", "time"))
    with pytest.raises(InputError, match="entries are not JSON"):
        parse_profile(text.replace("timeMs", 'time"Ms'))
