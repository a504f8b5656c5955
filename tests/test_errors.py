"""Messages of others on one line."""

from __future__ import annotations

import pytest

from un_deploy.errors import first_line, one_line


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (ValueError("bad\n  shape: 3\n"), "bad shape: 3"),
        (ValueError(), "ValueError"),
        ("it\ntells", "it tells"),
        ("", ""),
    ],
)
def test_all_of_it(said: BaseException | str, line: str) -> None:
    assert one_line(said) == line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\nbad\nmore"), "ValueError: bad"),
        (KeyError(), "KeyError"),
        (ValueError("missing:\n  weight\n  bias"), "ValueError: missing: weight"),
    ],
)
def test_the_type_and_what_comes_first(error: Exception, line: str) -> None:
    assert first_line(error) == line
