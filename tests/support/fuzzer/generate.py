"""Makes one random graph of a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import onnx

from tests.support.fuzzer import other_changes
from tests.support.fuzzer.compose import compose
from tests.support.fuzzer.draft import Draft
from tests.support.fuzzer.parts import parts
from tests.support.fuzzer.surround import surround
from un_deploy.graph.model.mend import OLDEST_OPSET

#: How likely each type is; bfloat16 has hardly an operator in ONNX Runtime.
_TYPES = {"float": 5, "float16": 2, "double": 3, "bfloat16": 0.3}
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


def fuzzed(seed: int) -> Fuzzed:
    """The graph of a seed; the same for the same seed and versions."""
    random, rng = Random(seed), np.random.default_rng(seed)
    dtype = random.choices(list(_TYPES), list(_TYPES.values()))[0]
    first = 22 if dtype == "bfloat16" else OLDEST_OPSET  # no Conv takes it before
    opset = random.randint(first, onnx.defs.onnx_opset_version())
    sizes = {
        symbol: random.choice(numbers)
        for symbol, numbers in (("B", (1, 2, 3)), ("S", (3, 3, 1)))
        if random.random() < 0.5
    }
    draft = Draft(opset, dtype, sizes)
    known = [p for p in parts() if p.exists_at(opset) and p.takes_batch(sizes.get("B"))]
    if dtype == "double":
        known = [part for part in known if not part.single]
    chosen = random.choices(known, k=random.randint(1, 5))
    compose(draft, chosen, random, rng)
    for _ in range(random.randint(0, 6)):
        surround(draft, random)
    for _ in range(random.randint(0, 3)):
        random.choice(_OTHER_CHANGES)(draft, random)
    model = draft.model(claims=random.random() < 0.6, named=random.random() < 0.9)
    return Fuzzed(seed, model, dtype, opset, tuple(part.name for part in chosen))
