"""The places of the map, and the order in which they are measured: the most valuable first."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from benchmarks.gpu.networks import LARGE, MICRO
from benchmarks.gpu.prepare import VARIANTS, Import, Precision

Mode = Literal["eager", "cuda-graph", "compile", "max-autotune", "onnxruntime", "tensorrt"]

GRAPHS = ("onnxruntime", "tensorrt")
"""Modes that take the ONNX file itself, not its import into torch."""

TWICE = ("ln", "none")
"""Entered twice, for the A/A control."""

AGAIN = ", again"

FEW = ("ln", "un_addcmul", "folded", "none")
"""Variants where seven would take too long."""

COMPILED = ("ln", "un", "folded", "none")

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
    """Cells in order.

    Attributes:
        title: what they are.
        cells: the most valuable first.
        until: share of the time after preparing at which the next series begins; what is left of
            this one is taken up again at the end.
    """

    title: str
    cells: tuple[Cell, ...]
    until: float


def large(*, extra: bool = False) -> tuple[Series, ...]:
    """The series for a GPU.

    Args:
        extra: those of a second call instead.
    """
    if extra:
        return (_max_autotune(), _onnxruntime(), _tensorrt())
    half = tuple(
        Cell(network, batch, "float16", mode)
        for batches in ((1, 32), (8, 128))
        for mode in ("cuda-graph", "eager")
        for batch in batches
        for network in LARGE
    )
    return (
        Series("half precision", half, until=0.56),
        Series("compiled", _compiled("compile"), until=0.82),
        Series("attention in its parts", _decomposed(), until=0.87),
        Series("other precisions", _precisions(), until=0.95),
    )


def small(*, compiled: bool = False) -> tuple[Series, ...]:
    """The same code on micro networks, for a CPU."""
    cells = [
        Cell(network, batch, "float32", mode)
        for mode in ("cuda-graph", "eager")
        for batch in (1, 8)
        for network in MICRO
    ]
    others = [Cell(network, 8, "float16", "eager", FEW) for network in MICRO]
    others += [Cell(network, 8, "bfloat16", "eager", FEW) for network in MICRO]
    parts = [Cell(n, 8, "float32", "eager", ("ln", "folded", "none"), False) for n in MICRO]
    others += [Cell(n, 8, "float32", mode, COMPILED) for mode in GRAPHS for n in MICRO]
    made = [Cell("vit_micro", 8, "float32", "compile", COMPILED)] if compiled else []
    return (
        Series("float32", tuple(cells), until=0.5),
        Series("compiled", tuple(made), until=0.8),
        Series("attention in its parts", tuple(parts), until=0.85),
        Series("other precisions", tuple(others), until=0.95),
    )


def imports(series: tuple[Series, ...]) -> dict[str, tuple[Import, ...]]:
    """What must be imported for the cells, by network."""
    found: dict[str, tuple[Import, ...]] = {}
    batches: dict[tuple[str, Precision, bool], set[int]] = defaultdict(set)
    variants: dict[tuple[str, Precision, bool], set[str]] = defaultdict(set)
    for cell in (cell for one in series for cell in one.cells):
        if cell.mode in GRAPHS:
            found.setdefault(cell.network, ())
            continue
        key = (cell.network, cell.precision, cell.recognize)
        batches[key].add(cell.batch)
        variants[key] |= set(cell.variants)
    for (network, precision, recognize), sizes in batches.items():
        chosen = tuple(v for v in VARIANTS if v in variants[network, precision, recognize])
        wanted = Import(precision, tuple(sorted(sizes)), recognize, chosen)
        found[network] = (*found.get(network, ()), wanted)
    return found


def _compiled(mode: Mode) -> tuple[Cell, ...]:
    places = [("vit_small", 1), ("bert_256", 1), ("vit_small", 32), ("bert_256", 32)]
    places += [("vit_base", 32)]
    return tuple(Cell(network, batch, "float16", mode, COMPILED) for network, batch in places)


def _decomposed() -> tuple[Cell, ...]:
    return tuple(
        Cell(network, batch, "float16", "cuda-graph", ("ln", "folded", "none"), recognize=False)
        for batch in (1, 32)
        for network in BEST
    )


def _precisions() -> tuple[Cell, ...]:
    return tuple(
        Cell(network, batch, precision, "cuda-graph", FEW)
        for precision in ("bfloat16", "float32")
        for batch in (1, 32)
        for network in BEST
    )


def _max_autotune() -> Series:
    return Series("max-autotune", _compiled("max-autotune")[:3], until=0.7)


def _onnxruntime() -> Series:
    cells = tuple(
        Cell(network, batch, "float32", "onnxruntime", COMPILED)
        for batch in (1, 32)
        for network in LARGE
    )
    return Series("ONNX Runtime", cells, until=0.85)


def _tensorrt() -> Series:
    cells = tuple(
        Cell(network, batch, "float16", "tensorrt", COMPILED)
        for batch in (1, 32)
        for network in LARGE
    )
    return Series("TensorRT", cells, until=1.0)
