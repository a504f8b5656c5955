"""The places of the map, and the order in which they are measured: the most valuable first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

from benchmarks.gpu.networks import LARGE, MICRO, Kind

Precision = Literal["float16", "bfloat16", "float32"]
Mode = Literal["eager", "cuda-graph", "compile", "max-autotune", "onnxruntime", "tensorrt"]

GRAPHS = ("onnxruntime", "tensorrt")
"""Modes that take the ONNX file itself, not its import into torch."""

VARIANTS: dict[str, tuple[Kind, str]] = {
    "ln": ("ln", "ln"),
    "ln_separate": ("ln_separate", "ln"),
    "un_released": ("released", "un"),
    "un": ("un", "un"),
    "un_addcmul": ("un", "un"),
    "folded": ("un", "un"),
    "none": ("none", "none"),
}
"""All variants: the export that each is made of, and the variant whose float32 answers each must
give. For all that is made of UN these are the answers of unfolded UN."""

TWICE = ("ln", "none")
"""Entered twice, for the A/A control."""

AGAIN = ", again"

FEW = ("ln", "un_addcmul", "folded", "none")
"""Variants where seven would take too long."""

COMPILED = ("ln", "un", "folded", "none")
FEWEST = ("ln", "folded", "none")

BEST = ("vit_small", "bert_256", "vit_base")
"""Networks that are measured in more ways than the others."""


@dataclass(frozen=True)
class Cell:
    """One place of the map; its variants are timed in turn.

    Attributes:
        network: its name.
        batch: rows of input.
        precision: of weights and activations; float32 without TF32.
        mode: how it is run. "compile" and "max-autotune" are captured as a CUDA graph too.
        variants: what is timed.
        recognize: attention, linear and GELU as one call each; else in their parts.
    """

    network: str
    batch: int
    precision: Precision
    mode: Mode
    variants: tuple[str, ...] = tuple(VARIANTS)
    recognize: bool = True

    @property
    def key(self) -> str:
        form = "" if self.recognize else ", decomposed"
        return f"{self.network} batch {self.batch} {self.precision} {self.mode}{form}"

    @property
    def compiled(self) -> bool:
        return self.mode in ("compile", "max-autotune")

    def entries(self) -> tuple[str, ...]:
        """The variants, and those entered twice a second time."""
        return (*self.variants, *(f"{name}{AGAIN}" for name in TWICE if name in self.variants))


@dataclass(frozen=True)
class Series:
    """Cells in order, the most valuable first.

    The next series begins at `until`, a share of the time after preparing; what is left of this
    one is taken up again at the end.
    """

    title: str
    cells: tuple[Cell, ...]
    until: float


def _cells(
    precision: Precision,
    modes: Iterable[Mode],
    batches: Iterable[int],
    networks: Iterable[str],
    variants: tuple[str, ...] = tuple(VARIANTS),
    recognize: bool = True,
) -> tuple[Cell, ...]:
    places = product(modes, batches, networks)
    return tuple(Cell(n, b, precision, mode, variants, recognize) for mode, b, n in places)


def large() -> tuple[Series, ...]:
    """The series for a GPU."""
    captured: tuple[Mode, ...] = ("cuda-graph", "eager")
    half = [_cells("float16", captured, batches, LARGE) for batches in ((1, 32), (8, 128))]
    others = [_cells(p, captured[:1], (1, 32), BEST, FEW) for p in ("bfloat16", "float32")]
    parts = _cells("float16", captured[:1], (1, 32), BEST, FEWEST, recognize=False)
    return (
        Series("half precision", half[0] + half[1], until=0.56),
        Series("compiled", _compiled("compile"), until=0.82),
        Series("attention in its parts", parts, until=0.87),
        Series("other precisions", others[0] + others[1], until=0.95),
    )


def extra() -> tuple[Series, ...]:
    """The series of a second call."""
    sessions = _cells("float32", ("onnxruntime",), (1, 32), LARGE, COMPILED)
    engines = _cells("float16", ("tensorrt",), (1, 32), LARGE, COMPILED)
    return (
        Series("max-autotune", _compiled("max-autotune")[:3], until=0.7),
        Series("ONNX Runtime", sessions, until=0.85),
        Series("TensorRT", engines, until=1.0),
    )


def small(*, compiled: bool = False) -> tuple[Series, ...]:
    """The same code on micro networks, for a CPU."""
    others = _cells("float16", ("eager",), (8,), MICRO, FEW)
    others += _cells("bfloat16", ("eager",), (8,), MICRO, FEW)
    others += _cells("float32", GRAPHS, (8,), MICRO, COMPILED)
    made = _cells("float32", ("compile",), (8,), MICRO[:1], COMPILED) if compiled else ()
    parts = _cells("float32", ("eager",), (8,), MICRO, FEWEST, recognize=False)
    return (
        Series("float32", _cells("float32", ("cuda-graph", "eager"), (1, 8), MICRO), until=0.5),
        Series("compiled", made, until=0.8),
        Series("attention in its parts", parts, until=0.85),
        Series("other precisions", others, until=0.95),
    )


def _compiled(mode: Mode) -> tuple[Cell, ...]:
    best = _cells("float16", (mode,), (1, 32), BEST[:2], COMPILED)
    return (*best, Cell(BEST[2], 32, "float16", mode, COMPILED))
