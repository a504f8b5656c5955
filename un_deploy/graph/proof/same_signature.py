"""Whether two models are called alike: inputs, outputs, opsets, local functions."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from un_deploy.graph.proof.proof import Problem


def signature_problems(original: ir.Model, other: ir.Model) -> Iterator[Problem]:
    """Where inputs or outputs differ in name, order, type or declared shape.

    And where opsets or local functions do.
    """
    renamed: dict[object, object] = {}
    for kind in ("inputs", "outputs"):
        old, new = (list(getattr(model.graph, kind)) for model in (original, other))
        names = [[str(value.name) for value in values] for values in (old, new)]
        if names[0] != names[1]:
            yield Problem(
                f"the {kind}", f"are {', '.join(names[1])}, the original's {', '.join(names[0])}"
            )
            continue
        for a, b in zip(old, new, strict=True):
            if a.type != b.type:
                yield Problem(str(a.name), f"is {b.type}, the original's {a.type}")
            elif not _same_dims(_dims(a), _dims(b), renamed):
                text = f"has the shape {_dims(b)}, the original's is {_dims(a)}"
                yield Problem(str(a.name), text, differs=False)
    for domain, opset in original.opset_imports.items():
        if other.opset_imports.get(domain) != opset:
            text = f"is {other.opset_imports.get(domain)}, the original's {opset}"
            # Operators may mean the same in both.
            yield Problem(f"the opset of {domain or 'ai.onnx'}", text, differs=False)
    for key, function in original.functions.items():
        own = other.functions.get(key)
        if own is None or _bytes(own) != _bytes(function):
            yield Problem(f"the function {function.name}", "is another one than in the original")


def _same_dims(
    old: list[int | str | None] | None, new: list[int | str | None] | None, renamed: dict
) -> bool:
    """Whether two shapes are one, however the open dimensions are called: each by one name."""
    if old is None or new is None or len(old) != len(new):
        return old is new
    for a, b in zip(old, new, strict=True):
        named = isinstance(a, str) and isinstance(b, str)
        # One name for one name, in both directions.
        if named and (renamed.setdefault((0, a), b), renamed.setdefault((1, b), a)) != (b, a):
            return False
        if not named and a != b:
            return False
    return True


def _dims(value: ir.Value) -> list[int | str | None] | None:
    if value.shape is None:
        return None
    return [dim if isinstance(dim, int) else dim.value for dim in value.shape]


def _bytes(function: ir.Function) -> bytes:
    proto = ir.to_proto(function)
    return bytes(proto.SerializeToString(deterministic=True))
