"""Finding the binary, and the version in its first line."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from tests.runtime.trtexec.conftest import Make, executable
from un_deploy.errors import InputError
from un_deploy.runtime.trtexec import find
from un_deploy.runtime.trtexec.find import find_binary, read_version


def trtexec_in(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return executable(folder / "trtexec", "exit 0")


def test_the_one_named_comes_first_then_the_variable_then_path_then_the_usual_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, variable, path, usual = (
        trtexec_in(tmp_path / name) for name in ("named", "variable", "path", "usual")
    )
    monkeypatch.setattr(find, "PLACES", (str(usual.parent),))
    environ = {"TRTEXEC": str(variable), "PATH": str(path.parent)}
    assert find_binary(named, environ=environ) == named
    assert find_binary(environ=environ) == variable
    del environ["TRTEXEC"]
    assert find_binary(environ=environ) == path
    environ["PATH"] = ""
    assert find_binary(environ=environ) == usual


def test_none_is_refused_with_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "PLACES", ("/nowhere/bin",))
    with pytest.raises(InputError, match=r"no trtexec: .* \$TRTEXEC, .*/nowhere/bin; it comes"):
        find_binary(environ={"PATH": "/nowhere"})


def test_one_that_is_named_and_not_there_is_not_replaced_by_another(tmp_path: Path) -> None:
    other = trtexec_in(tmp_path / "bin")
    environ = {"PATH": str(other.parent), "TRTEXEC": str(tmp_path / "absent")}
    with pytest.raises(InputError, match=r"absent \(from \$TRTEXEC\) is no executable file"):
        find_binary(environ=environ)
    other.chmod(0o644)
    with pytest.raises(InputError, match=r"bin/trtexec is no executable file"):
        find_binary(other, environ=environ)


@pytest.mark.parametrize(
    ("number", "version"),
    [
        ("101602", "10.16.2"),
        ("100001", "10.0.1"),
        ("110400", "11.4.0"),
        ("8601", "8.6.1"),
        ("11.1.0.106", "11.1.0.106"),
    ],
)
def test_the_version_in_the_first_line(tmp_path: Path, number: str, version: str) -> None:
    line = f"&&&& RUNNING TensorRT.trtexec [TensorRT v{number}] [b10] # trtexec --help"
    binary = executable(tmp_path / "trtexec", f"echo '{line}'; exit 1")
    assert read_version(binary) == Version(version)


def test_the_version_of_the_double(make: Make) -> None:
    assert make(10).version == Version("10.16.2")
    assert make(11).version == Version("11.4.0")


def test_what_does_not_start_or_not_end(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"\x7fELF of another machine")
    foreign.chmod(0o755)
    with pytest.raises(InputError, match=r"foreign does not start: Exec format error"):
        read_version(foreign)
    with pytest.raises(InputError, match=r"--help did not end within 0\.1 s"):
        read_version(executable(tmp_path / "trtexec", "exec sleep 60"), within_s=0.1)
