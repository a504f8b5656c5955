"""A call of TensorRT held against the signatures of what is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.support.tensorrt_api.surface import Signature, Surface
from tests.support.tensorrt_api.values import PLAIN, Instance, Method, Value


def check_call(
    surface: Surface,
    called: Method,
    positional: Sequence[Value],
    keywords: Mapping[str, Value],
) -> tuple[Value, str | None]:
    """What a call returns, and what is wrong with it: it fits none of the overloads."""
    overloads = surface.signatures(called)
    title = f"{called.owner}.{called.name}" if called.owner else called.name
    if not overloads:
        return PLAIN, f"{title} cannot be called: it has no signature"
    reasons = []
    for signature in overloads:
        reason = _misfit(surface, signature, positional, keywords)
        if reason is None:
            return surface.parsed(signature.returns), None
        reasons.append(reason)
    return PLAIN, f"{title}: {'; '.join(dict.fromkeys(reasons))}"


def _misfit(
    surface: Surface,
    signature: Signature,
    positional: Sequence[Value],
    keywords: Mapping[str, Value],
) -> str | None:
    parameters = signature.parameters
    if len(positional) > len(parameters):
        return f"takes {len(parameters)} arguments, not {len(positional)}"
    given = dict(zip((one.name for one in parameters), positional, strict=False))
    named = {one.name for one in parameters if one.is_named}
    for keyword, value in keywords.items():
        if keyword not in named:
            return f"has no argument {keyword}"
        if keyword in given:
            return f"is given {keyword} twice"
        given[keyword] = value
    for parameter in parameters:
        if parameter.name not in given:
            if parameter.required:
                return f"needs {parameter.name}"
            continue
        value, wanted = given[parameter.name], surface.parsed(parameter.type)
        if not fits(surface, value, wanted):
            return f"{parameter.name} is a {wanted.name}, not a {value.name}"  # type: ignore[union-attr]
    return None


def fits(surface: Surface, value: Value, wanted: Value) -> bool:
    """Whether an object may stand where another is wanted; what is not known may."""
    if not isinstance(value, Instance) or not isinstance(wanted, Instance):
        return True
    return surface.is_a(value.name, wanted.name)
