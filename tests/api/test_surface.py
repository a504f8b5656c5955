"""The room of TensorRT uses only what every version has, or asks first."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

import pytest

from tests.api.conftest import RTX, STANDARD, surface_of
from tests.support.tensorrt_api.check import Absent, check
from tests.support.tensorrt_api.surface import Surface

pytestmark = pytest.mark.api

ABSENT = {
    # Came with 10.9. Asking for it on an older version is refused by name: see config._take.
    "10.0.1": {Absent("HardwareCompatibilityLevel", "SAME_COMPUTE_CAPABILITY")},
}
"""Members of the tables in options.py that a version lacks, and why that does no harm."""

OLD, OLD_LAST, NEW = STANDARD


def test_every_use_is_there_and_fits_its_signature(
    surface: Surface, sources: Mapping[str, str]
) -> None:
    listed = ABSENT.get(surface.version, set())
    found = check(sources, surface, listed)
    assert found.problems == ()
    assert found.absent == listed  # a list that is longer than it must be hides the next mistake
    assert {
        "Builder.build_serialized_network",
        "IBuilderConfig.set_flag",
        "IProgressMonitor.step_complete",
        "OnnxParser.parse_from_file",
        "TensorFormat.LINEAR",
    } <= found.uses


def test_the_versions_are_those_that_are_named() -> None:
    versions = {version: surface_of(version) for version in STANDARD}
    assert all(surface.version == version for version, surface in versions.items())
    assert versions[OLD_LAST].entry("BuilderFlag", "FP16")
    assert not versions[NEW].entry("BuilderFlag", "FP16")


def changed(sources: Mapping[str, str], module: str, old: str, new: str) -> dict[str, str]:
    """The sources with one text replaced, which must be there."""
    assert old in sources[module]
    return {**sources, module: sources[module].replace(old, new)}


FLAG = (
    "configure(trt, config, options, flavor)",
    "config.set_flag(trt.BuilderFlag.FP16); configure(trt, config, options, flavor)",
)


def test_a_flag_that_is_gone_fails_only_where_it_is_gone(sources: Mapping[str, str]) -> None:
    with_fp16 = changed(sources, "build", *FLAG)
    for version in (OLD, OLD_LAST):
        assert check(with_fp16, surface_of(version), ABSENT.get(version, ())).problems == ()
    [problem] = check(with_fp16, surface_of(NEW)).problems
    assert problem.endswith("BuilderFlag 11.4.0.106 has no FP16")


def test_a_name_of_rtx_needs_its_guard(sources: Mapping[str, str]) -> None:
    guard = 'if not hasattr(trt, "ComputeCapability"):'
    unguarded = changed(sources, "config", guard, "if not names:")
    for version in (OLD, OLD_LAST, NEW):
        problems = check(unguarded, surface_of(version), ABSENT.get(version, ())).problems
        assert any(
            p.endswith(f"IBuilderConfig {version} has no set_compute_capability") for p in problems
        )
        assert any(p.endswith(f"TensorRT {version} has no ComputeCapability") for p in problems)
    assert check(unguarded, surface_of(RTX)).problems == ()


@pytest.mark.parametrize(
    ("module", "old", "new", "problem"),
    [
        (
            "config",
            "ignore_mismatch=False",
            "ignore=False",
            "IBuilderConfig.set_timing_cache: has no argument ignore",
        ),
        (
            "build",
            "made.set_shape(name, shapes.min, shapes.opt, shapes.max)",
            "made.set_shape(name, shapes.min, shapes.opt)",
            "IOptimizationProfile.set_shape: needs max",
        ),
        (
            "build",
            "builder.create_builder_config()",
            "builder.create_builder_config(network)",
            "Builder.create_builder_config: takes 0 arguments, not 1",
        ),
        (
            "build",
            "trt.OnnxParser(network, logger(flavor))",
            "trt.OnnxParser(logger(flavor), network)",
            "OnnxParser.__init__: network is a INetworkDefinition, not a ILogger",
        ),
        (
            "build",
            "pool.submit(builder.build_serialized_network, network, config)",
            "pool.submit(builder.build_serialized_network, network)",
            "Builder.build_serialized_network: needs config",
        ),
        (
            "build",
            "trt.ProfilingVerbosity.DETAILED",
            "trt.TensorFormat.LINEAR",
            "IBuilderConfig.profiling_verbosity is of Instance(name='ProfilingVerbosity'), "
            "not Instance(name='TensorFormat')",
        ),
        ("io", "tensor.allowed_formats = mask", "tensor.format = mask", "has no format"),
        ("io", "tensor.allowed_formats = mask", "tensor.is_shape_tensor = 1", "cannot be set"),
        ("io", "FORMATS[name]", "name", "a name is looked up that is in no table of options"),
        ("options", '"CHW2"', '"CHW3"', "has no CHW3, which FORMATS holds"),
        (
            "progress",
            "def step_complete(self, phase_name: str, step: int)",
            "def step_complete(self, name: str, step: int)",
            "takes self, phase_name, step, not self, name, step",
        ),
        ("progress", "def phase_finish", "def phase_end", "not override IProgressMonitor.phase"),
        ("log", "severity.name", "severity.title", "ILogger.Severity 1.7.1.116 has no title"),
    ],
)
def test_mistakes_are_seen(
    sources: Mapping[str, str], module: str, old: str, new: str, problem: str
) -> None:
    """On TensorRT-RTX, which is installed wherever this runs."""
    found = check(changed(sources, module, old, new), surface_of(RTX)).problems
    assert problem in "; ".join(found)


def test_every_guard_has_a_version_behind_it(sources: Mapping[str, str]) -> None:
    """A guard that asks for a misspelt name would hide its branch from every version."""
    found = [check(sources, surface_of(version)).guards for version in (*STANDARD, RTX)]
    assert "TensorRT.ComputeCapability" in found[0]
    for guard in {name for guards in found for name in guards}:
        assert {guards.get(guard, False) for guards in found} == {True, False}, guard


def test_what_cannot_be_followed_is_a_problem(sources: Mapping[str, str]) -> None:
    """A parameter that nobody here gives a value could be anything."""
    extra = "\n\ndef tell(engine: Any) -> Any:\n    return engine.num_layers\n"
    found = check({**sources, "build": sources["build"] + extra}, surface_of(RTX)).problems
    assert [one.partition(": ")[2] for one in found] == ["nothing shows what engine is"]


def test_no_use_escapes(sources: Mapping[str, str]) -> None:
    """Misspell a name of TensorRT wherever it is used, one name at a time: each is noticed."""
    surface = surface_of(RTX)
    used = {use.rpartition(".")[2] for use in check(sources, surface).uses}
    nodes = [
        (module, node)
        for module, text in sources.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr in used
    ]
    names = {node.attr for _, node in nodes}
    assert {"set_flag", "create_network", "REFIT", "num_errors", "allowed_formats"} <= names
    for name in names:
        misspelt = {
            module: re.sub(rf"(?<=\.){name}\b|(?<=config, \"){name}\b", f"{name}_", text)
            for module, text in sources.items()
        }
        assert check(misspelt, surface).problems, name
