"""A graph of another optimiser's suite, and what they are made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """A graph of a suite, and what is right.

    Attributes:
        suite: whose tests have one like it.
        signature, body, constants: as `build` takes them.
        left: the operators that are left of it.
        reasons: words of why something stays; nothing does where there are none.
        opset: of the default domain.
    """

    suite: str
    signature: str
    body: str
    constants: dict[str, Any]
    left: str
    reasons: tuple[str, ...] = ()
    opset: int = 17


IMAGE = "float[B,3,8,8] x => float[B,5,6,6] y"
PADDED = "float[B,3,8,8] x => float[B,5,8,8] y"
LARGER = "float[B,3,8,8] x => float[B,5,10,10] y"
ROWS = "float[B,4] x => float[B,5] y"
TOKENS = "float[B,3,4] x => float[B,3,5] y"
SAME = "float[B,4] x => float[B,4] y"
FLAT = "float[6,4] x => float[2,3,5] y"

KERNEL = {"w": (5, 3, 3, 3)}
WIDENING = {"w": (3, 5, 3, 3)}
MATRIX = {"w": (4, 5)}
BIAS = {"c": (5,)}
FACTOR = {"k": np.array([1.7], np.float32)}
NUMBER = {"k": np.array(1.7, np.float32)}
SUMMAND = {"d": np.array([0.3], np.float32)}
ONE, ZERO = {"k": np.array(1, np.float32)}, {"k": np.array(0, np.float32)}
PADS = "Conv<pads=[1,1,1,1]>"
SHAPE = {"s": [2, 3, 5]}


def norm(channels: int) -> dict[str, tuple[int]]:
    """BatchNormalization's parameters; the variance is positive."""
    return dict.fromkeys(("g", "b", "m", "av"), (channels,))


def normed(value: str) -> str:
    return f"BatchNormalization({value}, g, b, m, av)"
