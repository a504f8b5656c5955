"""All models whose norm stays, and the integers and factors that they may name.

Weights are named as in `part.block`. The stem of a name may ask for numbers of its own, as
`compose` draws them: dead, far, much, neg, one, small, tiny, zero. An input named own is never
another part's output; i, j and k hold integers, whose minimum with 0 is a computed zero.
"""

from __future__ import annotations

from functools import cache

from tests.support.fuzzer.drawing.part import Part, block
from tests.support.fuzzer.drawing.refusals.of_rules import OF_RULES
from tests.support.fuzzer.drawing.refusals.of_sites import OF_SITES
from tests.support.fuzzer.drawing.refusals.of_solver import OF_SOLVER

_INTEGERS: dict[str, object] = {
    "first": [1], "last": [-1], "back": [-9], "none": [0], "all": [9], "two": [2], "four": [4],
    "order": [3, 1, 0, 2], "twice": [1, 1, 2], "ones": [1, 1, 1], "rest": [0, 0, 4],
    "around": [0, 1, 0, 0, 1, 0], "beside": [0, 0, 1, 0, 0, 1], "few": [[[0, 1, 2]]],
    "double": [12, 12], "tall": [1, 3, 1],
}  # fmt: skip
_FACTORS = {"by": [1, 1, 2, 2], "odd": [1, 1, 1.5, 1.5], "half": [1, 1, 0.5, 0.5]}
_FACTORS["uneven"] = [1, 1, 1.3, 1.3]


@cache
def refusals() -> tuple[Part, ...]:
    """All of them."""
    return tuple(
        Part(name, block(signature, body, _INTEGERS, _FACTORS), *where)
        for name, (signature, body, *where) in (OF_RULES | OF_SITES | OF_SOLVER).items()
    )
