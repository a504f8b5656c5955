"""The sources use only what every version of TensorRT has, or ask first."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import pytest

from tests.api.conftest import RTX, STANDARD, VERSIONS, StubsOf
from tests.support.tensorrt_api.check import GUARD, errors, sources
from tests.support.tensorrt_api.stubs import Stubs
from un_deploy.engines.building import options

pytestmark = pytest.mark.api

OLD, OLD_LAST, NEW = STANDARD
ErrorsOf = Callable[[str], Mapping[str, list[str]]]


class Mistake(NamedTuple):
    """A text of one file that is replaced, what mypy says then, and the versions where it must."""

    old: str
    new: str
    told: str
    versions: tuple[str, ...] = VERSIONS

    def made(self) -> str:
        """The one file that holds the text, with the text replaced."""
        [text] = [text for text in sources().values() if self.old in text]
        return text.replace(self.old, self.new)


MISTAKES = (
    Mistake("Flag.REFIT", "Flag.FP16", '"type[BuilderFlag]" has no attribute "FP16"', (NEW, RTX)),
    Mistake('hasattr(trt, "Compute', 'str("Compute', '"set_compute_capability"', STANDARD),
    Mistake("if hasattr(engine", "if not hasattr(engine", '"ICudaEngine" has no', (OLD, NEW, RTX)),
    Mistake(".parse_from_file(", ".parse_file(", '"OnnxParser" has no attribute "parse_file"'),
    Mistake("import IProfiler\n", "import IProfile\n", 'has no attribute "IProfile"'),
    Mistake("ignore_mismatch=", "ignore=", 'Unexpected keyword argument "ignore"'),
    Mistake("shapes.opt, shapes.max)", "shapes.opt)", 'Missing positional argument "max"'),
    Mistake(".create_network(1 <<", ".create_network(1, 1 <<", "Too many arguments"),
    Mistake("(network, logger(flavor))", "(logger(flavor), network)", 'expected "INetworkDefin'),
    Mistake("ActivationType.RELU", "MatrixOperation.NONE", 'expected "ActivationType"'),
    Mistake("serialized_network, network, config)", "serialized_network, network)", '"submit" of'),
    Mistake("Verbosity.DETAILED", "Verbosity(0).name", 'variable has type "ProfilingVerbosity"'),
    Mistake("tensor.allowed_formats =", "tensor.format =", '"ITensor" has no attribute "format"'),
    Mistake("tensor.allowed_formats =", "tensor.is_shape_tensor =", '"ITensor" is read-only'),
    Mistake("self, phase_name: str, step: int)", "self, step: int)", '"step_complete" incompat'),
    Mistake("def phase_finish", "def phase_end", 'abstract attribute "phase_finish"'),
    Mistake("severity.name", "severity.title", '"Severity" has no attribute "title"'),
)

ABSENT = {
    # Came with 10.9. Asking for it on an older version is refused by name: see config._take.
    OLD: {("HardwareCompatibilityLevel", "SAME_COMPUTE_CAPABILITY")},
}
"""Members of the tables in options.py that a version lacks, and why that does no harm."""

LOOKUP = re.compile(r"getattr\(\s*trt\.(\w+), (\w+)\[")
"""The one way to look a name up by a string: a member of an enum, by a table of options.py."""

BY_STRING = re.compile(
    r"\b[gs]etattr\((?!torch,|self,|usual,)|__dict__|\b(?:attrgetter|methodcaller|vars)\("
)
"""Of anything but torch, and our own options in themselves and as they usually are."""

ELSEWHERE = {"__version__", "shape"}
"""Names that every module, and a tensor of torch, have too: mypy does not follow those here."""


def misspelt(names: frozenset[str]) -> dict[str, str]:
    """A copy of a file for each name of TensorRT that it uses, in which that name is misspelt."""
    found = {}
    for path, text in sources().items():
        used = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
        for name in sorted(used & names - ELSEWHERE):
            module = re.sub(r"\W", "_", f"{path}_{name}")
            found[module] = re.sub(rf"\.{name}\b(?! import)", f".{name}_", text)
    return found


@pytest.fixture(scope="session")
def errors_of(stubs_of: StubsOf, tmp_path_factory: pytest.TempPathFactory) -> ErrorsOf:
    """What mypy finds against a version: in the sources, each mistake, and each misspelt name."""
    texts = {f"mistake_{number}": one.made() for number, one in enumerate(MISTAKES)}

    @cache
    def found(version: str) -> Mapping[str, list[str]]:
        stubs = stubs_of(version)
        more = texts | misspelt(stubs.names) if version == RTX else texts
        return errors(stubs, tmp_path_factory.mktemp("checked"), more)

    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_use_is_there_and_fits_its_signature(version: str, errors_of: ErrorsOf) -> None:
    assert {name: told for name, told in errors_of(version).items() if name in sources()} == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_mistakes_are_found_where_they_are_mistakes(version: str, errors_of: ErrorsOf) -> None:
    for number, mistake in enumerate(MISTAKES):
        told = "; ".join(errors_of(version).get(f"mistake_{number}", []))
        assert mistake.told in told if version in mistake.versions else told == "", mistake


def test_no_use_escapes(stubs_of: StubsOf, errors_of: ErrorsOf) -> None:
    """Misspell a name of TensorRT in a file that uses it, one name at a time: each is noticed."""
    names = misspelt(stubs_of(RTX).names)
    assert len(names) > 150
    assert names.keys() - errors_of(RTX).keys() == set()


@pytest.mark.parametrize("version", STANDARD)
def test_the_versions_are_those_that_are_named(version: str, stubs_of: StubsOf) -> None:
    assert stubs_of(version).version == version
    assert ("FP16" in stubs_of(version).classes["BuilderFlag"]) == (version != NEW)


def absent(stubs: Stubs) -> set[tuple[str, str]]:
    """Names that a version lacks although a table holds them, with their enum."""
    lookups = {pair for text in sources().values() for pair in LOOKUP.findall(text)}
    assert ("TensorFormat", "FORMATS") in lookups
    return {
        (enum, name)
        for enum, table in lookups
        for name in getattr(options, table).values()
        if name not in stubs.classes[enum]
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_tables_hold_names_that_are_there(version: str, stubs_of: StubsOf) -> None:
    assert absent(stubs_of(version)) == ABSENT.get(version, set())


def test_a_wrong_name_is_seen(stubs_of: StubsOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(options.FORMATS, "chw2", "CHW3")
    assert absent(stubs_of(RTX)) == {("TensorFormat", "CHW3")}


def blind_spot(text: str) -> bool:
    """Whether a file has what mypy believes anything of: an Any, a name outside of a table."""
    an_any = "from tensorrt import" in text and re.search(r"\bAny\b", text)
    return bool(an_any) or len(BY_STRING.findall(text)) != len(LOOKUP.findall(text))


def test_no_file_has_a_blind_spot() -> None:
    assert [path for path, text in sources().items() if blind_spot(text)] == []
    assert blind_spot(Mistake("FORMATS[name])", "name)", "").made())
    assert blind_spot(Mistake("-> ILogger:", "-> Any:", "").made())


def test_every_guard_has_a_version_behind_it(stubs_of: StubsOf) -> None:
    """A guard that asks for a misspelt name would hide its branch from every version."""
    guards = GUARD.findall("".join(sources().values()))
    assert "ComputeCapability" in guards
    for guard in guards:
        assert {guard in stubs_of(version).names for version in VERSIONS} == {True, False}, guard
