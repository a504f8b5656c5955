"""Other changes of a draft: what holds its weights and who reads them, its inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

from tests.support.fuzzer.drawing.draft import Draft


def share_weights(draft: Draft, random: Random) -> None:
    """Two operators read one initializer."""
    by_form: dict[tuple[object, ...], list[str]] = {}
    for name in draft.floats():
        array = draft.constants[name]
        if array.size > 1 and "_av" not in name:
            by_form.setdefault((array.shape, array.dtype), []).append(name)
    pairs = [names for names in by_form.values() if len(names) > 1]
    if not pairs:
        return
    kept, gone = random.sample(random.choice(pairs), 2)
    _rename(draft, gone, kept)
    del draft.constants[gone]


def compute_weight(draft: Draft, random: Random) -> None:
    """An initializer becomes the result of an operator on one."""
    if not (names := draft.floats()):
        return
    name = random.choice(names)
    array = draft.constants.pop(name)
    held = draft.fresh("held")
    forms: dict[str, Callable[[], np.ndarray]] = {
        f"{name} = Identity({held})": lambda: array,
        f"{name} = Neg({held})": lambda: -array,
        f"{name} = Transpose({held})": lambda: array.T,
    }
    if draft.dtype == "float":
        if 10 <= draft.opset < 28:  # ONNX Runtime has no DequantizeLinear from then on
            scale = draft.constant("scale", np.array(0.02))
            forms[f"{name} = DequantizeLinear({held}, {scale})"] = lambda: _in_bytes(array)
        forms[f"{name} = Cast<to=1>({held})"] = lambda: array.astype(np.float16)
    text = random.choice(sorted(forms))
    draft.constants[held] = np.array(forms[text](), order="C")
    draft.add(text, 0)


def _in_bytes(array: np.ndarray) -> np.ndarray:
    """In steps of 0.02; none becomes zero, which a variance must not be."""
    return np.asarray(np.clip(np.sign(array) * np.ceil(np.abs(array) / 0.02), -127, 127), np.int8)


def constant_node(draft: Draft, random: Random) -> None:
    """An initializer becomes a Constant."""
    if not (names := draft.floats()):
        return
    name = random.choice(names)
    array = draft.constants.pop(name)
    tensor = onnx.numpy_helper.from_array(array)
    draft.nodes.insert(0, onnx.helper.make_node("Constant", [], [name], value=tensor))


def other_magnitude(draft: Draft, random: Random) -> None:
    """One weight is large or small; a half type would overflow."""
    names = draft.floats()
    if names and draft.dtype in ("float", "double"):
        name = random.choice(names)
        array = draft.constants[name]
        draft.constants[name] = np.asarray(array * 10.0 ** random.randint(-4, 3), array.dtype)


def override(draft: Draft, random: Random) -> None:
    """The caller may give another number in place of an initializer."""
    if names := draft.floats():
        draft.overridable.append(random.choice(names))


def output(draft: Draft, random: Random) -> None:
    """A tensor in the middle, or a weight, is an output too."""
    typed = draft.types()
    names = [name for name in (*draft.made_at(), *draft.floats()) if name in typed]
    names = [name for name in names if name not in (*draft.inputs, *draft.outputs)]
    if names:
        draft.outputs.append(random.choice(names))


def hide_sizes(draft: Draft, random: Random) -> None:
    """An input does not tell a size: the symbol's name has it, for the feeds."""
    name = random.choice(sorted(draft.inputs))
    elem, dims = draft.inputs[name]
    hidden = (
        draft.fresh(f"D{dim}") if isinstance(dim, int) and random.random() < 0.5 else dim
        for dim in dims
    )
    draft.inputs[name] = (elem, tuple(hidden))


def _rename(draft: Draft, old: str, new: str) -> None:
    """In the main graph and in bodies."""

    def of(nodes: Iterable[onnx.NodeProto]) -> None:
        for node in nodes:
            node.input[:] = [new if name == old else name for name in node.input]
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    of(attribute.g.node)

    of(draft.nodes)
