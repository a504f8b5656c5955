"""A comparison in memory is written as its name says, as one that was kept is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.reports import report as made
from un_deploy import report
from un_deploy.errors import InputError


@pytest.mark.parametrize(
    ("target", "begins"),
    [("r.html", "<!DOCTYPE html>"), ("r.md", "# UN folded is"), ("r.csv", "report,date,un_deploy")],
)
def test_from_memory_and_from_a_file_alike(tmp_path: Path, target: str, begins: str) -> None:
    pytest.importorskip("plotly")
    kept = tmp_path / "report"
    kept.write_text(made().to_json(), encoding="utf-8")
    report(made(), tmp_path / target)
    text = (tmp_path / target).read_text(encoding="utf-8")
    assert text.startswith(begins)
    report(kept, tmp_path / target, force=True)
    again = (tmp_path / target).read_text(encoding="utf-8")
    assert again.replace(str(kept), "report") == text  # a table names the file


def test_an_ending_that_names_no_form_is_refused_for_both(tmp_path: Path) -> None:
    for source in (made(), tmp_path / "absent.json"):
        with pytest.raises(InputError, match=r"r\.txt: the ending says what is written, .*\.txt$"):
            report(source, tmp_path / "r.txt")
    assert list(tmp_path.iterdir()) == []
