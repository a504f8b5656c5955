"""An error says whose it is, and leaves the log that tells why."""

from __future__ import annotations

from pathlib import Path

import pytest

from un_deploy.errors import InputError, MissingPackageError
from un_deploy.measure.speed.whose_error import folder_of, saying_whose


class Logging:
    """A session of which only the log counts here."""

    def keep_files(self, feeds: object, folder: Path) -> None:
        raise AssertionError("nothing is run once more")

    def keep_log(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "trtexec.log").write_text("why")


def test_the_name_comes_first_and_the_log_is_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"^ln, its operator: no plugin$"),
        saying_whose("ln, its operator", Logging(), tmp_path),  # type: ignore[arg-type]
    ):
        raise InputError("no plugin")
    assert folder_of(tmp_path, "ln, its operator") == tmp_path / "ln_its_operator"
    assert (tmp_path / "ln_its_operator" / "trtexec.log").read_text() == "why"


def test_every_call_of_what_it_wraps_is_named() -> None:
    @saying_whose("folded")
    def seconds(runs: int) -> float:
        if runs > 1:
            raise InputError("too many")
        return 0.5

    assert seconds(1) == 0.5
    for _ in range(2):
        with pytest.raises(InputError, match=r"^folded: too many$"):
            seconds(2)


def test_what_is_missing_is_nobodys_error() -> None:
    with pytest.raises(MissingPackageError, match=r"^not installed$"), saying_whose("ln"):
        raise MissingPackageError("not installed")
