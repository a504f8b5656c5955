"""Loading an object from the user's Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from un_deploy.errors import InputError
from un_deploy.python_file import load_object


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_object_of_a_file(folder: Path) -> None:
    (folder / "data.py").write_text("def batches():\n    return [1, 2]\n")
    assert load_object("data.py:batches")() == [1, 2]
    assert load_object(f"{folder / 'data.py'}:batches")() == [1, 2]


def test_object_of_a_module() -> None:
    assert load_object("os.path:join")("a", "b") == str(Path("a") / "b")


def test_module_in_the_working_directory(folder: Path) -> None:
    (folder / "un_deploy_test_local.py").write_text("answer = 42\n")
    assert load_object("un_deploy_test_local:answer") == 42
    assert str(folder) not in sys.path


def test_file_is_read_anew(folder: Path) -> None:
    for value in (1, 2):
        (folder / "data.py").write_text(f"value = {value}\n")
        assert load_object("data.py:value") == value


def test_file_imports_its_neighbour(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "un_deploy_test_sizes.py").write_text("width = 7\n")
    (folder / "sub" / "net.py").write_text("from un_deploy_test_sizes import width\n")
    assert load_object("sub/net.py:width") == 7


def test_file_with_a_dataclass(folder: Path) -> None:
    source = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    (folder / "net.py").write_text(source + "@dataclass\nclass Sizes:\n    dim: int = 3\n")
    assert load_object("net.py:Sizes")().dim == 3


def test_a_file_shadows_no_module(folder: Path) -> None:
    json = sys.modules["json"]
    (folder / "json.py").write_text("dumps = 'mine'\n")
    assert load_object("json.py:dumps") == "mine"
    assert sys.modules["json"] is json


@pytest.mark.parametrize("spec", ["net.py", "net", "net.py:", ":build", "net.py:1", ""])
def test_spec_without_a_name_is_refused(spec: str) -> None:
    with pytest.raises(InputError, match=r"names no Python object; write FILE\.py:name"):
        load_object(spec)


def test_missing_file_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"^absent\.py: cannot be read: No such file"):
        load_object("absent.py:build")


@pytest.mark.parametrize("module", ["un_deploy_test_absent", "un_deploy.absent", "absent.sub"])
def test_missing_module_is_named(module: str) -> None:
    with pytest.raises(InputError, match=f"^there is no module {module}; for a file"):
        load_object(f"{module}:build")


def test_missing_name_lists_what_is_there(folder: Path) -> None:
    (folder / "net.py").write_text("_hidden = 0\ntiny = 1\nbase = 2\n")
    with pytest.raises(InputError, match=r"^net\.py: no object named 'huge'; it has base, tiny$"):
        load_object("net.py:huge")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nx = 1 / 0\n", "net.py:2: ZeroDivisionError: division by zero"),
        ("import absent_package\n", "net.py:1: ModuleNotFoundError: No module named"),
        ("import sys\n\nsys.exit(3)\n", "net.py:3: SystemExit: 3"),
        ("def f(:\n", "net.py:1: SyntaxError: invalid syntax"),
        ("raise ValueError('first\\nsecond')\n", "net.py:1: ValueError: first"),
        ("raise ValueError('list:\\n- one\\n- two')\n", "net.py:1: ValueError: list: - one"),
        ("raise ValueError\n", "net.py:1: ValueError"),
    ],
)
def test_failing_file_is_told_in_one_line(folder: Path, source: str, message: str) -> None:
    (folder / "net.py").write_text(source)
    with pytest.raises(InputError) as caught:
        load_object("net.py:f")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_module_that_lacks_a_package_is_told_apart_from_a_missing_one(folder: Path) -> None:
    (folder / "un_deploy_test_needy.py").write_text("import absent_package\n")
    with pytest.raises(InputError, match="module un_deploy_test_needy: ModuleNotFoundError"):
        load_object("un_deploy_test_needy:f")
