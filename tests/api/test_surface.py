"""The sources use only what every version of TensorRT has, or ask first."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import pytest

from tests.api.conftest import RTX, STANDARD, VERSIONS
from tests.support.tensorrt_api.check import errors, sources
from tests.support.tensorrt_api.stubs import Stubs
from un_deploy.runtime.tensorrt import options

pytestmark = pytest.mark.api

StubsOf = Callable[[str], Stubs]
ErrorsOf = Callable[[str], Mapping[str, list[str]]]

OLD, OLD_LAST, NEW = STANDARD

ABSENT = {
    # Came with 10.9. Asking for it on an older version is refused by name: see config._take.
    OLD: {("HardwareCompatibilityLevel", "SAME_COMPUTE_CAPABILITY")},
}
"""Members of the tables in options.py that a version lacks, and why that does no harm."""

LOOKUP = re.compile(r"getattr\(\s*trt\.(\w+), (\w+)\[")
"""The one way to look a name up by a string: a member of an enum, by a table of options.py."""

BY_STRING = re.compile(r"\b[gs]etattr\((?!torch,)|__dict__|\b(?:attrgetter|methodcaller|vars)\(")

ELSEWHERE = {"__version__", "shape"}
"""Names that every module, and a tensor of torch, have too: mypy does not follow those here."""


@dataclass(frozen=True)
class Mistake:
    """A text of one file that is replaced, what mypy says then, and the versions where it must."""

    old: str
    new: str
    told: str
    versions: tuple[str, ...] = VERSIONS


MISTAKES = {
    "flag_that_is_gone": Mistake(
        "configure(config, options, flavor)\n",
        "config.set_flag(trt.BuilderFlag.FP16)\n",
        '"type[BuilderFlag]" has no attribute "FP16"',
        (NEW, RTX),
    ),
    "method_without_guard": Mistake(
        'if not hasattr(trt, "ComputeCapability"):',
        "if not names:",
        '"IBuilderConfig" has no attribute "set_compute_capability"',
        STANDARD,
    ),
    "guard_the_wrong_way_round": Mistake(
        'if hasattr(engine, "get_device_memory_size_for_profile_v2"):',
        'if not hasattr(engine, "get_device_memory_size_for_profile_v2"):',
        '"ICudaEngine" has no attribute "get_device_memory_size_for_profile',
        (OLD, NEW, RTX),
    ),
    "misspelt_method": Mistake(
        "parser.parse_from_file(",
        "parser.parse_file(",
        '"OnnxParser" has no attribute "parse_file"',
    ),
    "misspelt_type": Mistake(
        "from tensorrt import IProfiler",
        "from tensorrt import IProfile",
        'Module "tensorrt" has no attribute "IProfile"',
    ),
    "name_of_an_argument": Mistake(
        "ignore_mismatch=False",
        "ignore=False",
        'Unexpected keyword argument "ignore" for "set_timing_cache" of "IBuilderConfig"',
    ),
    "argument_too_few": Mistake(
        "made.set_shape(name, shapes.min, shapes.opt, shapes.max)",
        "made.set_shape(name, shapes.min, shapes.opt)",
        'Missing positional argument "max" in call to "set_shape" of "IOptimizationProfile"',
    ),
    "argument_too_many": Mistake(
        "config = builder.create_builder_config()",
        "config = builder.create_builder_config(network)",
        'Too many arguments for "create_builder_config" of "Builder"',
    ),
    "arguments_swapped": Mistake(
        "trt.OnnxParser(network, logger(flavor))",
        "trt.OnnxParser(logger(flavor), network)",
        'Argument 1 to "OnnxParser" has incompatible type "ILogger"',
    ),
    "type_of_an_argument": Mistake(
        "trt.ActivationType.RELU",
        "trt.MatrixOperation.NONE",
        'Argument 2 to "add_activation" of "INetworkDefinition" has incompatible type',
    ),
    "argument_of_a_deferred_call": Mistake(
        "pool.submit(builder.build_serialized_network, network, config)",
        "pool.submit(builder.build_serialized_network, network)",
        '"submit" of "Executor"',
    ),
    "type_of_an_attribute": Mistake(
        "trt.ProfilingVerbosity.DETAILED",
        "trt.TensorFormat.LINEAR",
        'expression has type "TensorFormat", variable has type "ProfilingVerbosity"',
    ),
    "attribute_that_is_not_there": Mistake(
        "tensor.allowed_formats = mask",
        "tensor.format = mask",
        '"ITensor" has no attribute "format"',
    ),
    "attribute_that_is_only_read": Mistake(
        "tensor.allowed_formats = mask",
        "tensor.is_shape_tensor = True",
        'Property "is_shape_tensor" defined in "ITensor" is read-only',
    ),
    "what_is_returned": Mistake(
        "return inspector.get_engine_information(trt.LayerInformationFormat.JSON)",
        "return inspector",
        'Incompatible return value type (got "EngineInspector", expected "str")',
    ),
    "argument_of_a_callback": Mistake(
        "def step_complete(self, phase_name: str, step: int)",
        "def step_complete(self, phase_name: str)",
        'Signature of "step_complete" incompatible with supertype',
    ),
    "name_of_a_callback": Mistake(
        "def phase_finish",
        "def phase_end",
        'abstract class "Monitor" with abstract attribute "phase_finish"',
    ),
    "property_of_an_argument": Mistake(
        "severity.name", "severity.title", '"Severity" has no attribute "title"'
    ),
}


def changed(mistake: Mistake) -> str:
    """The one file that holds the text, with the text replaced."""
    [text] = [text for text in sources().values() if mistake.old in text]
    return text.replace(mistake.old, mistake.new)


def misspelt(names: frozenset[str]) -> dict[str, str]:
    """A copy of a file for each name of TensorRT that it uses, in which that name is misspelt."""
    found = {}
    for path, text in sources().items():
        attributes = {n.attr for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute)}
        for name in sorted(attributes & names - ELSEWHERE):
            module = re.sub(r"\W", "_", f"misspelt_{path}_{name}")
            found[module] = re.sub(rf"\.{name}\b(?! import)", f".{name}_", text)
    return found


@pytest.fixture(scope="session")
def errors_of(stubs_of: StubsOf, tmp_path_factory: pytest.TempPathFactory) -> ErrorsOf:
    """What mypy finds against a version: in the sources, each mistake, and each misspelt name."""
    texts = {name: changed(mistake) for name, mistake in MISTAKES.items()}

    @cache
    def found(version: str) -> Mapping[str, list[str]]:
        stubs = stubs_of(version)
        more = texts | misspelt(stubs.names) if version == RTX else texts
        return errors(stubs, tmp_path_factory.mktemp("checked"), more)

    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_use_is_there_and_fits_its_signature(version: str, errors_of: ErrorsOf) -> None:
    found = errors_of(version)
    assert {path: found[path] for path in sources() if found[path]} == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_mistakes_are_found_where_they_are_mistakes(version: str, errors_of: ErrorsOf) -> None:
    found = errors_of(version)
    for name, mistake in MISTAKES.items():
        told = "; ".join(found[name])
        if version in mistake.versions:
            assert mistake.told in told, name
        else:
            assert told == "", name


def test_no_use_escapes(stubs_of: StubsOf, errors_of: ErrorsOf) -> None:
    """Misspell a name of TensorRT in a file that uses it, one name at a time: each is noticed."""
    names = misspelt(stubs_of(RTX).names)
    assert len(names) > 150
    assert [name for name in names if not errors_of(RTX)[name]] == []


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


def test_a_wrong_name_in_a_table_is_seen(
    stubs_of: StubsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(options.FORMATS, "chw2", "CHW3")
    assert absent(stubs_of(RTX)) == {("TensorFormat", "CHW3")}


def looks_up_elsewhere(text: str) -> bool:
    """Whether names are looked up by strings that stand in no table."""
    return len(BY_STRING.findall(text)) != len(LOOKUP.findall(text))


def test_names_are_looked_up_in_tables_alone() -> None:
    assert [path for path, text in sources().items() if looks_up_elsewhere(text)] == []
    assert looks_up_elsewhere(changed(Mistake("FORMATS[name])", "name)", "")))


def is_blind(text: str) -> bool:
    """Whether a file that uses TensorRT holds something of which mypy would believe everything."""
    return "from tensorrt import" in text and re.search(r"\bAny\b", text) is not None


def test_nothing_of_tensorrt_is_any() -> None:
    assert [path for path, text in sources().items() if is_blind(text)] == []
    assert is_blind(changed(Mistake("-> ILogger:", "-> Any:", "")))


def test_every_guard_has_a_version_behind_it(stubs_of: StubsOf) -> None:
    """A guard that asks for a misspelt name would hide its branch from every version."""
    guards = re.findall(r'hasattr\([\w.]+, "(\w+)"\)', "".join(sources().values()))
    assert "ComputeCapability" in guards
    for guard in guards:
        assert {guard in stubs_of(version).names for version in VERSIONS} == {True, False}, guard
