"""The double of the tests has nothing that TensorRT lacks, and takes what TensorRT takes."""

from __future__ import annotations

import ast
import enum
import inspect

import pytest

from tests.api.conftest import STANDARD, VERSIONS, StubsOf
from tests.support.doubles import tensorrt_double

pytestmark = pytest.mark.api

NEWER = {("ICudaEngine", "get_device_memory_size_for_profile_v2"): STANDARD[:1]}
"""What the versions named do not have yet; the code asks before it uses it."""

CLASSES = {
    name: found
    for name, found in vars(tensorrt_double).items()
    if inspect.isclass(found) and found.__module__ == tensorrt_double.__name__
}


def test_the_double_is_the_size_it_seems() -> None:
    assert {"Runtime", "ICudaEngine", "IExecutionContext", "EngineInspector"} <= CLASSES.keys()
    assert len(CLASSES) == 16


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_as_tensorrt_has_it(name: str, version: str, stubs_of: StubsOf) -> None:
    found, real = CLASSES[name], stubs_of(version).classes[name]
    if issubclass(found, enum.Enum):
        assert found.__members__.keys() <= real.keys()
        return
    for member, value in vars(found).items():
        if member.startswith("_") and member != "__init__":
            continue
        if version in NEWER.get((name, member), ()):
            assert member not in real
            continue
        nodes = real[member]
        if inspect.isfunction(value):
            taken = list(inspect.signature(value).parameters)
            assert any(takes(node, taken) for node in nodes), member
        elif inspect.isclass(value):
            assert isinstance(nodes[0], ast.ClassDef), member
        else:
            # Where it is no property of the double, the tests set it.
            wanted = "property" if isinstance(value, property) else f"{member}.setter"
            assert isinstance(nodes[0], ast.AnnAssign) or wanted in decorators(nodes), member


def takes(node: ast.stmt, taken: list[str]) -> bool:
    """Whether a call with these arguments, at these places or by these names, fits an overload."""
    assert isinstance(node, ast.FunctionDef)
    names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
    left_out = len(names) - len(taken)
    return names[: len(taken)] == taken and left_out <= len(node.args.defaults)


def decorators(nodes: list[ast.stmt]) -> list[str]:
    return [ast.unparse(one) for node in nodes for one in getattr(node, "decorator_list", ())]
