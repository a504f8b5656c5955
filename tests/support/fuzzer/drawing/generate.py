"""Makes one random graph of a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
import onnx

from tests.support.fuzzer.drawing import other_changes
from tests.support.fuzzer.drawing.chains import chain
from tests.support.fuzzer.drawing.compose import compose
from tests.support.fuzzer.drawing.draft import Draft
from tests.support.fuzzer.drawing.part import Part
from tests.support.fuzzer.drawing.parts import parts
from tests.support.fuzzer.drawing.refusals.every import refusals
from tests.support.fuzzer.drawing.surround import surround
from un_deploy.graph.model.mend import OLDEST_OPSET

#: How likely each type is; bfloat16 has hardly an operator in ONNX Runtime.
_TYPES = {"float": 5, "float16": 2, "double": 3, "bfloat16": 0.3}
#: So many parts are chains.
_CHAINS = 0.4
_OTHER_CHANGES = (
    other_changes.share_weights,
    other_changes.compute_weight,
    other_changes.constant_node,
    other_changes.other_magnitude,
    other_changes.override,
    other_changes.output,
    other_changes.hide_sizes,
)


@dataclass(frozen=True)
class Fuzzed:
    """A random graph, and what it was made of."""

    seed: int
    model: onnx.ModelProto
    dtype: str
    opset: int
    parts: tuple[str, ...]


@cache
def _suited(opset: int, dtype: str, batch: int | None) -> list[Part]:
    return [part for part in parts() if part.suits(opset, dtype, batch)]


def _chain(random: Random, opset: int, dtype: str, batch: int | None) -> Part:
    while not (part := chain(random)).suits(opset, dtype, batch):
        pass
    return part


def fuzzed(seed: int) -> Fuzzed:
    """The graph of a seed; the same for the same seed and versions.

    Of odd seeds each begins with the next one of `refusals`, where it suits.
    """
    random, rng = Random(seed), np.random.default_rng(seed)
    dtype = random.choices(list(_TYPES), list(_TYPES.values()))[0]
    asked = refusals()[seed // 2 % len(refusals())] if seed % 2 else None
    if asked is not None and asked.types:
        dtype = random.choice(asked.types)
    first = 22 if dtype == "bfloat16" else OLDEST_OPSET  # no Conv takes it before
    last = onnx.defs.onnx_opset_version()
    if asked is not None:
        first, last = max(first, asked.opsets[0]), min(last, asked.opsets[1])
    opset = random.randint(first, last)
    sizes = {
        symbol: random.choice(numbers)
        for symbol, numbers in (("B", (1, 2, 3)), ("S", (3, 3, 1)))
        if random.random() < 0.5
    }
    draft = Draft(opset, dtype, sizes)
    given = opset, dtype, sizes.get("B")
    chosen = [
        _chain(random, *given) if random.random() < _CHAINS else random.choice(_suited(*given))
        for _ in range(random.randint(1, 5))
    ]
    if asked is not None and asked.suits(*given):
        chosen[0] = asked
    compose(draft, chosen, random, rng)
    for _ in range(random.randint(0, 6)):
        surround(draft, random)
    for _ in range(random.randint(0, 3)):
        random.choice(_OTHER_CHANGES)(draft, random)
    model = draft.model(claims=random.random() < 0.6, named=random.random() < 0.9)
    return Fuzzed(seed, model, dtype, opset, tuple(part.name for part in chosen))
