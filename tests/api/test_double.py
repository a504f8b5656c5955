"""The double of the tests has nothing that TensorRT lacks, and takes what TensorRT takes."""

from __future__ import annotations

import ast
import enum
import inspect
from collections.abc import Callable

import pytest

from tests.api.conftest import STANDARD, VERSIONS
from tests.support import tensorrt_double
from tests.support.tensorrt_api.stubs import Stubs

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
    assert len(CLASSES) == 11


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CLASSES)
def test_names_and_arguments_are_those_of_tensorrt(
    name: str, version: str, stubs_of: Callable[[str], Stubs]
) -> None:
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
            assert is_attribute(nodes[0]), member
            assert isinstance(value, property) or is_settable(nodes), member


def takes(node: ast.stmt, taken: list[str]) -> bool:
    """Whether a call with these arguments, at these places or by these names, fits an overload."""
    assert isinstance(node, ast.FunctionDef)
    names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
    left_out = len(names) - len(taken)
    return names[: len(taken)] == taken and left_out <= len(node.args.defaults)


def is_attribute(node: ast.stmt) -> bool:
    """Whether it is no method: the stub says ``name: Type``, or has a property."""
    return isinstance(node, ast.AnnAssign) or any(
        ast.unparse(one) == "property" for one in getattr(node, "decorator_list", ())
    )


def is_settable(nodes: list[ast.stmt]) -> bool:
    """Whether an attribute may be set: a property has a setter then."""
    return isinstance(nodes[0], ast.AnnAssign) or len(nodes) == 2
