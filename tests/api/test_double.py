"""The double of the tests has nothing that TensorRT lacks, and takes what TensorRT takes."""

from __future__ import annotations

import enum
import inspect

import pytest

from tests.support import tensorrt_double
from tests.support.tensorrt_api.surface import Surface
from tests.support.tensorrt_api.values import Method

pytestmark = pytest.mark.api

NEWER = {("ICudaEngine", "get_device_memory_size_for_profile_v2"): ("10.0.1",)}
"""What the versions named do not have yet; the code asks before it uses it."""

CLASSES = {
    name: found
    for name, found in vars(tensorrt_double).items()
    if inspect.isclass(found) and found.__module__ == tensorrt_double.__name__
}


def test_the_double_is_the_size_it_seems() -> None:
    assert {"Runtime", "ICudaEngine", "IExecutionContext", "EngineInspector"} <= CLASSES.keys()
    assert len(CLASSES) == 11


@pytest.mark.parametrize("name", CLASSES)
def test_names_and_arguments_are_those_of_tensorrt(name: str, surface: Surface) -> None:
    found = CLASSES[name]
    assert name in surface.classes
    if issubclass(found, enum.Enum):
        assert found.__members__.keys() <= surface.classes[name]["members"].keys()
        return
    for member, value in vars(found).items():
        if member.startswith("_") and member != "__init__":
            continue
        if surface.version in NEWER.get((name, member), ()):
            assert surface.entry(name, member) is None
            continue
        entry = surface.entry(name, member)
        assert entry is not None, member
        if inspect.isfunction(value):
            _check_arguments(value, surface, Method(name, member, bound=False))
        elif inspect.isclass(value):
            assert entry["kind"] == "class"
        else:
            assert entry["kind"] == "property"
            assert isinstance(value, property) or entry["settable"]


def _check_arguments(function: object, surface: Surface, method: Method) -> None:
    taken = list(inspect.signature(function).parameters)
    overloads = surface.signatures(method)
    # What the double leaves out must have a default, and what it takes the same name and place.
    assert any(
        [p.name for p in one.parameters][: len(taken)] == taken
        and not any(p.required for p in one.parameters[len(taken) :])
        for one in overloads
    ), (method, taken, overloads)
