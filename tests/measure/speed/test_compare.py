"""What a comparison says of given times; the times themselves come from a double."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from un_deploy.errors import InputError, ThresholdError
from un_deploy.measure.speed.compare import compare_variants
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.timing_process import Job, Seconds
from un_deploy.measure.speed.variant import Variant
from un_deploy.runtime.settings import RunSettings

FEEDS = {"x": np.zeros((8, 3), np.float32)}
LN = Variant("ln", "ln.onnx", "ln.onnx", False, 10)
LN_FUSED = Variant(
    "ln", "ln.onnx", "ln.onnx", False, 10, "no SkipLayerNormalization", "no-skip-norm"
)
UNFOLDED = Variant("unfolded", "un.onnx", "un.onnx", False, 12)
FOLDED = Variant("folded", "folded.onnx", "un-deploy fold of UN unfolded", True, 8)
NONE = Variant("none", "none.onnx", "un-deploy strip of UN unfolded", True, 8)
ALL = (LN, LN_FUSED, UNFOLDED, FOLDED, NONE)

#: Milliseconds of each entry, and by how much a build or round may differ, in per cent.
TIMES = {"ln": 1.3, "ln, no SkipLayerNormalization": 1.2, "unfolded": 1.1}
QUIET = 0.1


def double(noise: float = QUIET, **other: float) -> Callable[[Job, Path], Seconds]:
    """Times drawn about `TIMES`; everything else takes 1 ms."""
    rng = np.random.default_rng(0)

    def build(job: Job, folder: Path) -> Seconds:
        assert dict(np.load(job.inputs)).keys() == FEEDS.keys()
        drawn = {}
        for entry in job.entries:
            middle = 1e-3 * other.get(entry.name, TIMES.get(entry.name, 1.0))
            drawn[entry.name] = (
                middle * np.exp(noise / 100 * rng.standard_normal(job.rounds))
            ).tolist()
        return drawn

    return build


SETTINGS = RunSettings("ort-cpu", threads=2)


def compared(*variants: Variant, **settings) -> CompareReport:
    given = {"settings": SETTINGS, "build": double(), **settings}
    return compare_variants(variants or ALL, FEEDS, **given)


def test_ratios_of_all_pairs() -> None:
    report = compared()
    found = {(r.of, r.to): r.interval for r in report.ratios}
    assert list(found) == [
        ("ln", "folded"),
        ("unfolded", "folded"),
        ("ln", "unfolded"),
        ("folded", "none"),
    ]
    for pair, wanted in zip(found, (1.2, 1.1, 1.2 / 1.1, 1.0), strict=True):
        assert found[pair].low <= found[pair].ratio <= found[pair].high
        assert found[pair].ratio == pytest.approx(wanted, rel=1e-3)
        assert found[pair].significant == (wanted != 1.0)
    assert found["folded", "none"].within(0.02)


def test_the_fastest_form_of_ln_counts() -> None:
    report = compared()
    assert {r.form for r in report.ratios if r.of == "ln"} == {"no SkipLayerNormalization"}
    slower = compared(build=double(**{"ln, no SkipLayerNormalization": 1.4}))
    assert {r.form for r in slower.ratios if r.of == "ln"} == {""}
    assert slower.ratio("ln", "folded").ratio == pytest.approx(1.3, rel=1e-3)


def test_the_fastest_form_of_every_variant_counts() -> None:
    """Where LayerNorms stay in them; the A/A control is of the form that is entered first."""
    fast = replace(FOLDED, form="fast", fusions="no-skip-norm")
    report = compared(LN, UNFOLDED, FOLDED, fast, build=double(**{"folded, fast": 0.9}))
    assert {(r.of, r.to_form) for r in report.ratios if r.to == "folded"} == {
        ("ln", "fast"),
        ("unfolded", "fast"),
    }
    assert report.ratio("unfolded", "folded").ratio == pytest.approx(1.1 / 0.9, rel=1e-3)
    assert (report.control.of, report.control.form) == ("folded", "")


def test_one_variant_is_entered_twice() -> None:
    report = compared()
    folded = [timed for timed in report.timed if timed.kind == "folded"]
    assert [timed.control for timed in folded] == [False, True]
    assert folded[0].seconds != folded[1].seconds
    assert (report.control.of, report.control.to) == ("folded", "folded")
    assert not report.control.interval.significant
    biased = compared(build=double(**{"folded, again": 1.05}))
    assert biased.control.interval.significant
    assert compared(LN, UNFOLDED).control.of == "unfolded"


def test_builds_begin_in_turn_with_either_end() -> None:
    jobs: list[Job] = []

    def build(job: Job, folder: Path) -> Seconds:
        jobs.append(job)
        return double()(job, folder)

    report = compared(build=build, builds=4, rounds=6)
    assert [job.reverse for job in jobs] == [False, True, False, True]
    assert {(job.rounds, job.settings) for job in jobs} == {(6, SETTINGS)}
    assert (report.backend, report.threads, report.precision) == ("ort-cpu", 2, None)
    assert np.array(report.timed[0].seconds).shape == (4, 6)


def test_a_threshold_is_met_by_the_lower_end() -> None:
    report = compared(build=double(noise=0.5))
    interval = report.ratio("ln", "folded")
    assert interval.low < interval.ratio
    report.require_speedup(interval.low)
    with pytest.raises(
        ThresholdError, match=r"UN folded is 1\.\d+x as fast as LN, at least"
    ) as caught:
        report.require_speedup(interval.ratio)
    assert caught.value.exit_code == 3


def test_a_threshold_for_what_was_not_measured_is_refused() -> None:
    with pytest.raises(InputError, match="LN over UN folded was not measured"):
        compared(UNFOLDED, FOLDED).require_speedup(1.0)


def test_a_threshold_needs_an_interval_that_reaches_its_confidence() -> None:
    with pytest.raises(ThresholdError, match="3 rounds of one build are too few for an interval"):
        compared(builds=1, rounds=3).require_speedup(0.1)
    compared(builds=1, rounds=9).require_speedup(0.1)


def test_json_holds_every_sample_and_can_be_read_again() -> None:
    report = compared(missing={"none": "not given"}, notes=["a note"], builds=3, rounds=3)
    data = json.loads(report.to_json())
    assert data["version"] == 2
    assert CompareReport.from_json(report.to_json(), "it") == report
    assert data["inputs"] == {"x": [8, 3]}
    assert data["environment"]["numpy"] == np.__version__
    assert (data["missing"], data["notes"]) == ({"none": "not given"}, ["a note"])
    first, second = (np.array(data["timed"][k]["seconds"]) for k in (3, 2))
    logs = np.median(np.log(second / first), axis=1)
    told = data["ratios"][1]["interval"]
    assert told["ratio"] == pytest.approx(np.exp(logs.mean()), rel=1e-12)
    assert told["significant"] is True


def test_the_comparison_in_the_report_of_the_demo_is_read() -> None:
    report = compared(builds=2, rounds=3)
    text = json.dumps({"version": 1, "images": 1000, "comparison": report.to_dict()})
    assert CompareReport.from_json(text, "it") == report


def test_percentiles_are_of_all_rounds_of_all_builds() -> None:
    timed = compared(builds=2, rounds=5).timed[0]
    samples = np.sort(np.array(timed.seconds).ravel())
    assert timed.percentiles_s["50"] == pytest.approx(timed.median_s, rel=1e-12)
    assert timed.percentiles_s["99"] == pytest.approx(np.percentile(samples, 99), rel=1e-12)
    assert timed.percentiles_s["99"] <= samples[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is no report of a comparison"),
        ("[]", "it is no report of a comparison"),
        ('{"version": 1}', "it is a report of version 1, this un-deploy reads 2: compare again"),
        (
            '{"version": 2}',
            r"it is no report of a comparison: required field missing @ \$\.backend",
        ),
    ],
)
def test_what_is_no_report_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CompareReport.from_json(text, "it")


def test_one_build_is_labelled() -> None:
    assert "one build" in compared(builds=1).ratios[0].interval.method


@pytest.mark.parametrize(
    ("settings", "tf32"),
    [
        (RunSettings("ort-cpu", tf32=False), None),  # no CPU has it
        (RunSettings("torch", tf32=False), None),
        (RunSettings("torch", device="cuda:0", tf32=False), False),
        (RunSettings("ort-cuda"), True),
        (RunSettings("tensorrt-rtx", tf32=False), False),
    ],
)
def test_tf32_is_of_what_a_gpu_computes(settings: RunSettings, tf32: bool | None) -> None:
    jobs: list[Job] = []

    def build(job: Job, folder: Path) -> Seconds:
        jobs.append(job)
        return double()(job, folder)

    report = compared(build=build, builds=1, settings=settings)
    assert report.tf32 is tf32
    assert jobs[0].settings.tf32 is settings.tf32
    assert CompareReport.from_json(report.to_json(), "it") == report


def test_a_report_with_tf32_is_no_baseline_of_one_without() -> None:
    report = replace(compared(), tf32=True)
    report.require_no_regression(report)
    for old in (False, None):
        with pytest.raises(InputError, match=f"the old report has tf32 {old}, this one True"):
            report.require_no_regression(replace(report, tf32=old))
