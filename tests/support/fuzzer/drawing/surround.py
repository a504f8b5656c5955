"""Puts one of the surroundings behind a tensor of a draft, near a norm more often."""

from __future__ import annotations

import re
from random import Random

import numpy as np
from onnx import TensorProto

from tests.support.fuzzer.drawing.draft import Dims, Draft
from tests.support.fuzzer.drawing.surroundings import SURROUNDINGS, Surrounding

_AFFINE = {"Mul", "Div", "Add", "Sub", "BatchNormalization"}
_GIVEN = {"x", "y", "c", "trip", "w", "q", "row", "width", "T", "E", "seed", "turn"}


def surround(draft: Draft, random: Random) -> None:
    """Put one of `SURROUNDINGS` behind a tensor, near a norm more often.

    All or some of its readers read the new tensor, or nobody does and it is an output.
    """
    typed = draft.types()
    made = draft.made_at()
    tensors = {
        name: dims
        for name, (elem, dims) in typed.items()
        if elem == draft.elem and len(dims) > 1 and isinstance(dims[-1], int) and name in made
    }
    family = random.choice(sorted({one.family for one in SURROUNDINGS}))
    suited = [one for one in SURROUNDINGS if one.family == family and _suits(one, draft)]
    if not tensors or not suited:
        return
    near = _near_norms(draft)
    x = random.choices(sorted(tensors), [6 if n in near else 1 for n in sorted(tensors)])[0]
    _put(draft, random.choice(suited), x, tensors, made, random)


def _put(
    draft: Draft,
    surrounding: Surrounding,
    x: str,
    tensors: dict[str, Dims],
    made: dict[str, int],
    random: Random,
) -> None:
    alike = [n for n in sorted(tensors) if tensors[n] == tensors[x] and made[n] <= made[x]]
    y = random.choice(alike)
    words = {
        "x": x,
        "y": y,
        "T": draft.dtype,
        "E": str(draft.elem),
        "row": ",".join(str(d) or f"U{i}" for i, d in enumerate(tensors[x][1:])),
        "width": str(tensors[x][-1]),
        "turn": str(turn := random.randint(1, 999)),
        "seed": f"{turn}.0",
    }
    text = surrounding.text
    if "{w}" in text:
        words["w"] = _weight(draft, (tensors[x][-1],), random)
    if "{q}" in text:
        words["q"] = _weight(draft, (tensors[x][-1],) * 2, random)
    if "{c}" in text:
        words["c"] = _input(draft, "c", TensorProto.BOOL)
    if "{trip}" in text:
        fixed = random.random() < 0.3
        words["trip"] = (
            draft.constant("trip", np.array(2, np.int64))
            if fixed
            else _input(draft, "trip", TensorProto.INT64)
        )
    names = set(re.findall(r"(?<!\{)\{([a-z]+)\}", text)) - _GIVEN
    words |= {name: draft.fresh(name) for name in sorted(names)}
    before = draft.readers(x)
    draft.add(text.format(**words), made[x] + 1)
    draft.claims[words["t"]] = (draft.elem, tensors[x])
    chosen = random.choice(["all", "one", "none"]) if before else "none"
    if chosen == "none":
        draft.outputs.append(words["t"])
    for node in before if chosen == "all" else [random.choice(before)] if chosen == "one" else []:
        node.input[:] = [words["t"] if name == x else name for name in node.input]


def _suits(surrounding: Surrounding, draft: Draft) -> bool:
    first, last = surrounding.opsets
    return first <= draft.opset <= last and draft.dtype in surrounding.types


def _near_norms(draft: Draft) -> set[str]:
    """What is read or made by an operator with a constant, or lies behind one and a Transpose."""
    norms = [n for n in draft.nodes if n.op_type in _AFFINE and {*n.input} & {*draft.constants}]
    near = {name for node in norms for name in (*node.input, *node.output)}
    turned = [n for n in draft.nodes if n.op_type == "Transpose" and n.input[0] in near]
    return near | {name for node in turned for name in node.output}


def _input(draft: Draft, name: str, elem: int) -> str:
    draft.inputs.setdefault(name, (elem, ()))
    return name


def _weight(draft: Draft, shape: Dims, random: Random) -> str:
    """A weight of this shape, one that others have where there is one."""
    fitting = [name for name in draft.floats() if draft.constants[name].shape == shape]
    if fitting and random.random() < 0.8:
        return random.choice(fitting)
    rng = np.random.default_rng(random.randint(0, 10**6))
    return draft.constant("w", rng.standard_normal([int(size) for size in shape]))
