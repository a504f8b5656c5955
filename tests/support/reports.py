"""Reports of comparisons from made-up times, complete enough to fill every section of a page."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from un_deploy.measure.speed.accuracy import Accuracy
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.conditions import Conditions
from un_deploy.measure.speed.engine_facts import EngineFacts, PlannedKernel
from un_deploy.measure.speed.layers.variant_layers import Group, ProfiledLayer, VariantLayers
from un_deploy.measure.speed.statistics import ratio
from un_deploy.measure.speed.variant import COMPARED, Kind
from un_deploy.measure.speed.variant_times import PERCENTILES, Ratio, Timed

#: A name as only someone who means harm gives it.
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=owned()>\"'&{{7*7}}"

PEAKS: dict[Kind, int] = {
    "ln": 3 * 2**20,
    "unfolded": 3 * 2**20,
    "folded": 5 * 2**19,
    "none": 5 * 2**19,
}
"""Bytes that a run holds, by kind."""

COUNTED = "tensors as an allocator counted them"

MEDIANS: dict[Kind, float] = {"ln": 1.08, "unfolded": 1.05, "folded": 1.0, "none": 1.0}
"""Milliseconds, by kind."""


def report(
    *,
    medians: dict[Kind, float] | None = None,
    noise: float = 0.002,
    builds: int = 5,
    rounds: int = 20,
    batch: int = 8,
    seed: int = 0,
) -> CompareReport:
    """One batch size: times that scatter by `noise` around the medians, and what follows."""
    drawn = np.random.default_rng(seed)
    milliseconds = {**(MEDIANS if medians is None else medians)}
    times = {
        kind: 1e-3 * median * np.exp(noise * drawn.standard_normal((builds, rounds)))
        for kind, median in milliseconds.items()
    }
    twice: Kind = "folded" if "folded" in times else next(iter(times))
    again = times[twice] * np.exp(noise * drawn.standard_normal((builds, rounds)))
    return CompareReport(
        backend="ort-cpu",
        threads=1,
        device="cpu",
        precision=None,
        inputs={"pixel_values": (batch, 3, 32, 32)},
        timed=(
            *(timed(kind, seconds) for kind, seconds in times.items()),
            timed(twice, again, control=True),
        ),
        ratios=tuple(
            Ratio(of, to, "", ratio(times[of], times[to]))
            for of, to in COMPARED
            if of in times and to in times
        ),
        control=Ratio(twice, twice, "", ratio(again, times[twice])),
        missing={},
        notes=(),
        environment={"cpu": "A processor", "gpu": None, "un-deploy": "0.1.0"},
        accuracy=tuple(Accuracy(kind, "", "logits", 1.5e-7) for kind in times if kind != "none"),
    )


def timed(kind: Kind, seconds: np.ndarray, *, control: bool = False) -> Timed:
    """A variant with these times, (builds, rounds)."""
    return Timed(
        kind=kind,
        form="",
        source=f"{kind}.onnx",
        derived=False,
        operators=100,
        control=control,
        median_s=float(np.median(seconds)),
        percentiles_s={str(q): float(np.percentile(seconds, q)) for q in PERCENTILES},
        peak_bytes=None,
        seconds=tuple(tuple(map(float, build)) for build in seconds),
    )


def restless(given: CompareReport, *, low: float = 0.97, high: float = 1.02) -> CompareReport:
    """The report as if the A/A control lay from low to high."""
    interval = replace(given.control.interval, low=low, high=high)
    return replace(given, control=replace(given.control, interval=interval))


def dated(
    given: CompareReport, date: str, command: str = "un-deploy compare x.py:f"
) -> CompareReport:
    """The report as a later un-deploy keeps it: with its date, command, load and models."""
    timed = (
        replace(one, sha256=hashlib.sha256(one.kind.encode()).hexdigest()) for one in given.timed
    )
    conditions = Conditions(load=0.25, cpus=2, others=0.03)
    return replace(given, date=date, command=command, conditions=conditions, timed=tuple(timed))


def kept(then: Any, now: Any) -> Any:
    """Of a JSON form now what it had then: a later un-deploy adds to it."""
    if isinstance(then, dict):
        return {key: kept(value, now[key]) for key, value in then.items()}
    if isinstance(then, list):
        return [kept(*both) for both in zip(then, now, strict=True)]
    return now


def with_memory(given: CompareReport) -> CompareReport:
    """The report with what a run of each variant holds."""
    timed = (replace(one, peak_bytes=PEAKS[one.kind], memory=COUNTED) for one in given.timed)
    return replace(given, timed=tuple(timed))


def engine(kind: Kind, *kernels: PlannedKernel, same_as_none: bool | None = None) -> EngineFacts:
    """An engine of these kernels."""
    return EngineFacts(
        kind=kind,
        form="",
        flavor="tensorrt-rtx",
        tensorrt="1.7.1",
        precision="fp16",
        plan_bytes=1_720_028,
        activation_bytes=8_237_056,
        bytes_written=sum(one.bytes_written or 0 for one in kernels),
        same_as_none=same_as_none,
        kernels=kernels,
    )


def kernel(what: str, *nodes: str, written: int = 6400) -> PlannedKernel:
    """A kernel of these ONNX nodes."""
    return PlannedKernel(f"__myl_{what.split()[-1]}", what, nodes, written)


NORM = kernel("kgen CastMeanSubMulMeanAddSqrtDivMul", "/blocks.0/norm1/LayerNormalization")
LINEAR = kernel("runtime_fusion FcAdd", "/blocks.0/qkv/MatMul", written=19_200)
OUT = kernel("gemm", "/head/Gemm", written=20)


def layer(kind: str, group: Group, microseconds: float, *nodes: str) -> ProfiledLayer:
    """A layer of these ONNX nodes, each of an operator that its name ends with."""
    operators = tuple(dict.fromkeys(node.rsplit("/", 1)[-1] for node in nodes))
    return ProfiledLayer(f"{kind}_0", kind, nodes, operators, group, 1e-6 * microseconds)


LAYERS = (
    layer("Gemm", "products", 610.5, "/blocks.0/qkv/MatMul", "/blocks.0/qkv/Add"),
    layer("MatMul", "attention", 210.25, "/blocks.0/attn/MatMul"),
    layer("Gelu", "activation", 80, "/blocks.0/mlp/Erf", "/blocks.0/mlp/Mul"),
    layer("Transpose", "layout", 41),
    layer("ReduceMean", "other", 9, "/pool/ReduceMean"),
)
LAYER_NORM = layer("LayerNormalization", "normalization", 70, "/blocks.0/norm1/LayerNormalization")
AFFINE = layer("Mul", "normalization", 45, "/blocks.0/norm1/Mul")


def layers(kind: Kind, *found: ProfiledLayer) -> VariantLayers:
    """The profile of a variant."""
    return VariantLayers(kind, "", found, runs=40, run_s=1e-3 * MEDIANS[kind])


def full_report(**settings: float) -> CompareReport:
    """Every section: three batch sizes, memory, engines, and layers."""
    first = with_memory(report(**settings))  # type: ignore[arg-type]
    sweep = tuple(
        report(medians={k: v * b for k, v in MEDIANS.items()}, batch=8 * b, seed=b) for b in (2, 4)
    )
    engines = (
        engine("ln", NORM, LINEAR, NORM, OUT, same_as_none=False),
        engine("unfolded", LINEAR, OUT, same_as_none=True),
        engine("folded", LINEAR, OUT, same_as_none=True),
        engine("none", LINEAR, OUT, same_as_none=True),
    )
    profile = (
        layers("ln", LAYER_NORM, *LAYERS),
        layers("unfolded", AFFINE, *LAYERS),
        layers("folded", *LAYERS),
        layers("none", *LAYERS),
    )
    notes = ("The clocks are not locked",)
    first = dated(first, "2026-03-02T08:15:00+00:00")
    return replace(first, sweep=sweep, engines=engines, layers=profile, notes=notes)
