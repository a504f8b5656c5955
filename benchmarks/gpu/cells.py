"""The places of the map, and the order in which they are measured: the most valuable first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

from benchmarks.gpu.networks import LARGE, MICRO, NETWORKS, PAPER, Kind

Precision = Literal["float16", "bfloat16", "float32"]
Mode = Literal["eager", "cuda-graph", "compile", "max-autotune", "onnxruntime", "tensorrt"]

GRAPHS = ("onnxruntime", "tensorrt")
"""Modes that take the ONNX file itself, not its import into torch."""

BASELINES: tuple[Kind, ...] = ("rms", "bn", "dyt", "derf")
"""Other norms, from which un-deploy has folded what folds; compiled, since torch has no one call
for most of them."""

VARIANTS: dict[str, tuple[Kind, str]] = {
    "ln": ("ln", "ln"),
    "ln_separate": ("ln_separate", "ln"),
    "un_released": ("released", "un"),
    "un": ("un", "un"),
    "un_addcmul": ("un", "un"),
    "folded": ("un", "un"),
    "none": ("none", "none"),
    **{kind: (kind, kind) for kind in BASELINES},
}
"""All variants: the export that each is made of, and the variant whose float32 answers each must
give. For all that is made of UN these are the answers of unfolded UN."""

TWICE = ("ln", "none")
"""Entered twice, for the A/A control."""

AGAIN = ", again"

ALL = tuple(name for name in VARIANTS if name not in BASELINES)

FEW = ("ln", "un_addcmul", "folded", "none")
"""Variants where seven would take too long."""

COMPILED = ("ln", "un", "folded", "none")
FEWEST = ("ln", "folded", "none")

BEST = ("vit_small", "bert_256", "vit_base")
"""Networks that are measured in more ways than the others."""


FLOPS = {"float16": 3e14, "bfloat16": 3e14, "float32": 4e13}
"""Operations in a second that a large network is expected to reach on an H100 or H200."""

IMAGE_TOKENS = 196
LOAD_S, COMPILE_S, SAMPLES = 0.6, 3.0, 100
"""Of a cell, and of each variant that is compiled (five at a time); samples of an entry."""

LEAST_S = {False: 0.002, True: 0.004}
"""The least that a sample takes, and, called one by one, that the host takes for a run."""


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
    variants: tuple[str, ...] = ALL
    recognize: bool = True

    @property
    def seconds(self) -> float:
        """About how long it takes, by `FLOPS` and the rest: no GPU has told yet."""
        network = NETWORKS[self.network]
        flop = 2e6 * network.weights * (network.tokens or IMAGE_TOKENS) * self.batch
        run_s = max(LEAST_S[self.mode == "eager"], flop / FLOPS[self.precision])
        compiling = COMPILE_S * len(self.variants) if self.compiled else 0.0
        return LOAD_S + compiling + SAMPLES * run_s * len(self.entries())

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
    variants: tuple[str, ...] = ALL,
    recognize: bool = True,
) -> tuple[Cell, ...]:
    places = product(modes, batches, networks)
    return tuple(Cell(n, b, precision, mode, variants, recognize) for mode, b, n in places)


def large() -> tuple[Series, ...]:
    """The series for a GPU."""
    captured: tuple[Mode, ...] = ("cuda-graph", "eager")
    half = _cells("float16", captured, (1, 32), LARGE)
    half += _cells("float16", captured[:1], (8, 128), LARGE)
    half += _cells("float16", captured[1:], (8,), LARGE)
    paper = _cells("float16", captured[:1], (1, 32), PAPER, FEW)
    others = [_cells(p, captured[:1], (1, 32), BEST, FEW) for p in ("bfloat16", "float32")]
    parts = _cells("float16", captured[:1], (1, 32), BEST, FEWEST, recognize=False)
    return (
        Series("half precision", half, until=0.5),
        Series("the paper's networks", paper, until=0.56),
        Series("compiled", _compiled("compile", BASELINES), until=0.82),
        Series("attention in its parts", parts, until=0.87),
        Series("other precisions", others[0] + others[1], until=0.95),
    )


def extra() -> tuple[Series, ...]:
    """The series of a second call.

    The last gave way to the paper's networks and the other norms: called one by one at such a
    batch, a network differs least from its captured form.
    """
    sessions = _cells("float32", ("onnxruntime",), (1, 32), LARGE, COMPILED)
    engines = _cells("float16", ("tensorrt",), (1, 32), LARGE, COMPILED)
    return (
        Series("max-autotune", _compiled("max-autotune")[:3], until=0.6),
        Series("ONNX Runtime", sessions, until=0.75),
        Series("TensorRT", engines, until=0.9),
        Series("gave way", _cells("float16", ("eager",), (128,), LARGE), until=1.0),
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


def _compiled(mode: Mode, more: tuple[Kind, ...] = ()) -> tuple[Cell, ...]:
    """The best networks; of ViT-B in one cell, with more norms beside the usual variants."""
    best = _cells("float16", (mode,), (1, 32), BEST[:2], COMPILED)
    return (*best, Cell(BEST[2], 32, "float16", mode, (*COMPILED, *more)))
