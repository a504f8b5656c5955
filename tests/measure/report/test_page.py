"""The page: what it shows is what the report says, and nothing in it is taken for markup."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest

from tests.support.page import Page
from tests.support.reports import (
    COUNTED,
    HOSTILE,
    full_report,
    kernel,
    layer,
    report,
    restless,
)
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.html import page
from un_deploy.measure.report.sections import layer_times
from un_deploy.measure.speed.accuracy import Accuracy
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant import TITLES, StayingNorm

pytest.importorskip("plotly")
pytest.importorskip("jinja2")


@pytest.fixture(scope="module")
def full() -> CompareReport:
    return full_report()


@pytest.fixture(scope="module")
def source(full: CompareReport) -> str:
    return page(full)


@pytest.fixture(scope="module")
def shown(source: str) -> Page:
    return Page(source)


def test_the_headline_is_what_the_interval_says(full: CompareReport, shown: Page) -> None:
    found = full.ratio("ln", "folded")
    assert (
        f"At batch 8: UN folded is faster than LN: LN takes {found.ratio:.3f} times as long "
        f"(98 % interval {found.low:.3f} to {found.high:.3f})." in shown.text
    )
    assert "UN folded and no norm are equal within 2 %" in shown.text
    assert "At batch 32: UN folded is faster than LN" in shown.text


def test_noise_is_not_significant_and_nothing_is_called_faster() -> None:
    shown = Page(
        page(
            restless(report(medians={"ln": 1.01, "folded": 1.0}, noise=0.3), low=0.995, high=1.005)
        )
    )
    assert "Not significant; these 5 builds do not tell LN and UN folded apart" in shown.text
    assert not re.search(r"(LN|UN folded|no norm) is (faster|slower)", shown.text, re.IGNORECASE)


def test_the_ratios(full: CompareReport, shown: Page) -> None:
    rows = shown.tables["Ratios, their intervals and the A/A control"][1:]
    for row, ratio in zip(rows, (*full.ratios, full.control), strict=True):
        interval = ratio.interval
        assert row[0] == TITLES[ratio.of]
        assert row[2:4] == [
            f"{interval.ratio:.3f}",
            f"{interval.low:.3f} to {interval.high:.3f}",
        ]
    drawn = shown.plots["plot-ratios"]["data"]
    for trace, ratio in zip(drawn, (*full.ratios, full.control), strict=True):
        assert trace["x"] == [ratio.interval.ratio]
        assert trace["x"][0] + trace["error_x"]["array"][0] == pytest.approx(ratio.interval.high)
        assert trace["x"][0] - trace["error_x"]["arrayminus"][0] == pytest.approx(
            ratio.interval.low
        )
    band, line = shown.plots["plot-ratios"]["layout"]["shapes"]
    assert (band["x0"], band["x1"]) == (full.control.interval.low, full.control.interval.high)
    assert line["x0"] == line["x1"] == 1


def test_the_times_and_every_sample(full: CompareReport, shown: Page) -> None:
    rows = shown.tables["Milliseconds of one run"][1:]
    boxes = shown.plots["plot-times"]["data"]
    for row, box, timed in zip(rows, boxes, full.timed, strict=True):
        assert row[0] == timed.name
        expected = [f"{1e3 * timed.percentiles_s[q]:.4f}" for q in ("50", "90", "95", "99")]
        assert row[1:5] == expected
        assert float(row[5].replace(",", "")) == pytest.approx(8 / timed.median_s, rel=1e-3)
        assert row[6] == "100|5 builds"
        assert box["x"] == [1e3 * time for build in timed.seconds for time in build]


def test_the_sweep_in_the_order_of_the_batch_sizes(full: CompareReport, shown: Page) -> None:
    turned = replace(full, sweep=full.sweep[::-1])
    for page_ in (shown, Page(page(turned))):
        rows = page_.tables["Ratios by batch size"][1:]
        assert [row[0] for row in rows[::4]] == ["batch 8", "batch 16", "batch 32"]
        last = full.sweep[1].ratio("ln", "folded")
        assert rows[8][1:4] == [
            "LN / UN folded",
            f"{last.ratio:.3f}",
            f"{last.low:.3f} to {last.high:.3f}",
        ]
        line = page_.plots["plot-sweep"]["data"][0]
        assert line["x"] == ["batch 8", "batch 16", "batch 32"]
        assert line["y"][2] == last.ratio


def test_when_and_how_it_was_measured(shown: Page) -> None:
    assert "measured2026-03-02 08:15 UTC" in shown.text
    assert "load0.25 as it began; others kept 0.03 of 2 CPUs busy" in shown.text
    told = shown.tables["Command, processor, system and versions"]
    assert told[1] == ["command", "un-deploy compare x.py:f"]
    models = shown.tables["Models"]
    assert models[1] == ["LN", "ln.onnx", hashlib.sha256(b"ln").hexdigest()]
    assert [row[0] for row in models[1:]] == ["LN", "UN unfolded", "UN folded", "no norm"]


def test_latency_and_throughput_by_batch_size(full: CompareReport, shown: Page) -> None:
    points = (full, *full.sweep)
    line = shown.plots["plot-latency"]["data"][0]
    assert line["x"] == [8, 16, 32]
    assert line["y"] == [1e3 * one.timed[0].median_s for one in points]
    rows = shown.tables["Inputs a second by batch size"]
    assert rows[0] == ["variant", "batch 8", "batch 16", "batch 32"]
    found = [float(cell.replace(",", "")) for cell in rows[1][1:]]
    expected = [one.batch / one.timed[0].median_s for one in points]
    assert found == pytest.approx(expected, rel=1e-3)
    assert "plot-latency" not in Page(page(report())).plots


def test_the_medians_of_the_sweep(full: CompareReport, shown: Page) -> None:
    rows = shown.tables["Median milliseconds of one run by batch size"]
    assert rows[0] == ["variant", "batch 8", "batch 16", "batch 32"]
    medians = [1e3 * one.timed[0].median_s for one in (full, *full.sweep)]
    assert rows[1] == ["LN", *(f"{median:.4f}" for median in medians)]
    assert len(rows) == 5  # the control is in the table of the ratios


def test_accuracy_and_engines(full: CompareReport, shown: Page) -> None:
    assert shown.tables["Error against float64"][1] == ["LN", "batch 8", "logits", "1.50e-07"]
    engines = shown.tables["Engines"][1:]
    assert engines[0] == [
        "LN",
        "1.64 MiB|1,720,028 B",
        "7.86 MiB|8,237,056 B",
        "31.3 KiB|32,020 B",
        "4",
        "no",
        "tensorrt-rtx 1.7.1|fp16",
    ]
    assert [row[5] for row in engines] == ["no", "yes", "yes", "is no norm"]
    assert "UN unfolded has the kernels of no norm here" in shown.text
    assert "does not have the kernels" not in shown.text
    bars = shown.plots["plot-memory"]["data"]
    assert bars[0]["x"] == [1, 1, 32_020 / 19_220]


def test_an_accuracy_that_was_not_judged_says_why(full: CompareReport) -> None:
    why = "no runtime computes the network in float64"
    unjudged = (Accuracy("ln", "", "", None, why), *full.accuracy[1:])
    shown = Page(page(replace(full, accuracy=unjudged, sweep=())))
    assert shown.tables["Error against float64"][1] == ["LN", "", "not judged"]
    assert f"Not judged: {why}." in shown.text


def test_the_kernels_are_there_to_be_opened(shown: Page) -> None:
    rows = shown.tables["Kernels, ONNX nodes and bytes written"]
    assert len(shown.tables["Layers, ONNX nodes and milliseconds"]) == 1 + 6
    norm = "kgen CastMeanSubMulMeanAddSqrtDivMul|/blocks.0/norm1/LayerNormalization"
    assert rows[1] == ["only LN", norm, "6,400", "", ""]
    assert [row[0] for row in rows[1:]] == ["only LN", "same", "only LN", "same"]
    assert len(shown.all("details")) == 2  # layers and kernels


def test_a_fold_whose_kernels_are_not_those_of_no_norm_is_a_warning(full: CompareReport) -> None:
    engines = tuple(replace(e, same_as_none=e.kind == "none") for e in full.engines)
    text = Page(page(replace(full, engines=engines))).text
    assert "Caution. The engine of UN folded does not have the kernels of no norm." in text
    assert "UN unfolded has the kernels of no norm" not in text


def test_what_is_missing_is_said_once_and_has_no_section() -> None:
    given = replace(report(medians={"unfolded": 1.0, "folded": 1.0}), accuracy=())
    shown = Page(page(replace(given, missing={"ln": "not given"})))
    assert shown.tables["What is missing, and why"][1:] == [
        ["LN", "not given"],
        ["Batch sweep", "one batch size was measured; un-deploy compare --batches takes more"],
        ["Accuracy", "this report holds none"],
        ["Peak memory", "it is not told"],
        ["Time by layer", "no profile was asked for; un-deploy compare --profile takes one"],
        [
            "Memory and engines",
            "no engines were asked for; un-deploy compare --engines builds them",
        ],
        ["Planned kernels", "it takes the engines of LN and of UN folded"],
        ["What was timed", "this report is of before the SHA-256 of models was kept"],
    ]
    sections = {attributes["id"] for attributes in shown.all("section")}
    assert sections == {"ratios", "times", "missing", "environment", "reading"}
    assert set(shown.plots) == {"plot-ratios", "plot-times"}
    assert "LN against UN folded was not measured" in shown.text


def test_one_variant_alone_makes_a_page_too() -> None:
    shown = Page(page(report(medians={"folded": 1.0})))
    assert "There is nothing to compare." in shown.text
    assert "only variants of one kind were timed" in shown.text


def test_peak_memory_is_a_table_and_bars(shown: Page) -> None:
    rows = shown.tables["Memory of one run"]
    assert rows[0] == ["variant", "at", "peak of a run"]
    assert rows[1:4] == [
        ["LN", "batch 8", "3 MiB|3,145,728 B"],
        ["UN unfolded", "batch 8", "3 MiB|3,145,728 B"],
        ["UN folded", "batch 8", "2.5 MiB|2,621,440 B"],
    ]
    assert rows[5] == ["LN", "batch 16", "not told"]  # the control is left out
    assert [bar["x"] for bar in shown.plots["plot-peak-memory"]["data"]] == [[3], [3], [2.5], [2.5]]
    assert f"beside weights and inputs: {COUNTED}." in shown.text


def test_memory_of_one_variant_is_not_drawn(full: CompareReport) -> None:
    first, *others = full.timed
    unknown = tuple(replace(one, peak_bytes=None, memory="it fell asleep") for one in others)
    alone = Page(page(replace(full, timed=(first, *unknown), sweep=())))
    assert [row[1] for row in alone.tables["Memory of one run"][1:3]] == [
        "3 MiB|3,145,728 B",
        "not told",
    ]
    assert "plot-peak-memory" not in alone.plots
    assert "Where none is told: it fell asleep." in alone.text


def test_memory_that_nobody_tells_is_absent_with_the_reason(full: CompareReport) -> None:
    unknown = tuple(replace(one, peak_bytes=None, memory="no profile") for one in full.timed)
    without = Page(page(replace(full, timed=unknown, sweep=())))
    assert ["Peak memory", "no profile"] in without.tables["What is missing, and why"]


def test_sizes_of_plans(full: CompareReport) -> None:
    first, *others = full.timed
    plan = replace(first, peak_bytes=None, memory="no profile", plan_bytes=2048, operators=None)
    shown = Page(page(replace(full, timed=(plan, *others), sweep=())))
    rows = shown.tables["Memory of one run"]
    assert rows[0][2] == "plan size"
    assert [row[2] for row in rows[1:3]] == ["2 KiB|2,048 B", "no plan given"]
    assert shown.tables["Milliseconds of one run"][1][7] == "a plan"


def hostile(full: CompareReport) -> CompareReport:
    """Every name that comes from outside, malicious."""
    first, *others = full.timed
    engines = tuple(
        replace(e, kernels=(kernel(f"kgen {HOSTILE}", HOSTILE), *e.kernels), flavor=HOSTILE)
        for e in full.engines
    )
    profile = tuple(
        replace(one, form=HOSTILE, layers=(layer(HOSTILE, "other", 1.0, HOSTILE), *one.layers))
        for one in full.layers
    )
    return replace(
        full,
        layers=profile,
        timed=(replace(first, source=HOSTILE, form=HOSTILE, memory=HOSTILE), *others),
        ratios=tuple(replace(ratio, form=HOSTILE) for ratio in full.ratios),
        inputs={HOSTILE: (8, 3)},
        missing={"ln": HOSTILE, HOSTILE: HOSTILE},
        notes=(HOSTILE,),
        command=HOSTILE,
        environment={"cpu": HOSTILE, HOSTILE: HOSTILE, "gpu": HOSTILE, "un-deploy": HOSTILE},
        accuracy=tuple(replace(one, output=HOSTILE, form=HOSTILE) for one in full.accuracy),
        engines=engines,
    )


def test_hostile_names_stay_names(full: CompareReport, shown: Page) -> None:
    bad = Page(page(hostile(full)))
    assert bad.text.count(HOSTILE) > 20
    kinds = ("script", "img", "iframe", "style", "link", "base", "object")
    assert [len(bad.all(kind)) for kind in kinds] == [len(shown.all(kind)) for kind in kinds]
    allowed = {name for _, attributes in shown.elements for name in attributes}
    assert {name for _, attributes in bad.elements for name in attributes} <= allowed
    data = [s for s, a in zip(bad.scripts, bad.all("script"), strict=True) if "type" in a]
    assert len(data) == 7 and not any("<" in one for one in data)
    for name, plot in bad.plots.items():  # plotly reads a text's tags as HTML
        for text in texts(plot):
            assert "<" not in text.replace("<br>", "").replace("<extra></extra>", ""), name


def texts(data: object) -> list[str]:
    """All strings in JSON."""
    if isinstance(data, str):
        return [data]
    if isinstance(data, dict):
        return [text for value in data.values() for text in texts(value)]
    return [text for value in data for text in texts(value)] if isinstance(data, list) else []


def test_the_same_report_gives_the_same_page(full: CompareReport, source: str) -> None:
    again = CompareReport.from_json(full.to_json(), "report.json")
    assert page(again) == source


def test_who_cannot_see_it_can_read_it(shown: Page) -> None:
    assert shown.all("html") == [{"lang": "en"}]
    assert len(shown.all("h1")) == 1 and len(shown.all("main")) == 1
    plots = [a for a in shown.all("div") if a.get("class") == "plot"]
    names = ("ratios", "times", "sweep", "latency", "peak-memory", "layers", "memory")
    assert [a["id"] for a in plots] == [f"plot-{name}" for name in names]
    assert all(a["role"] == "img" and len(a["aria-label"]) > 40 for a in plots)
    assert {a["scope"] for a in shown.all("th")} == {"col", "row"}
    assert len(shown.all("caption")) == len(shown.all("table"))
    named = {a["href"].removeprefix("#") for a in shown.all("a")}
    assert named <= {a["id"] for _, a in shown.elements if "id" in a}


@pytest.mark.parametrize(
    "colour", [*plot_style.COLOURS.values(), *layer_times.COLOURS.values(), plot_style.GREY]
)
def test_colours_stand_out_on_white_and_on_the_dark_page(source: str, colour: str) -> None:
    dark = re.findall(r"--back: (#\w{6})", source)[1]
    assert contrast(colour, "#ffffff") >= 4.4
    assert contrast(colour, dark) >= 3


def contrast(first: str, second: str) -> float:
    """WCAG 2.2, contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_the_precision_is_named_where_the_backend_builds_engines() -> None:
    given = report()
    assert "fp16" not in Page(page(given)).text
    assert "precisionfp16" in Page(page(replace(given, precision="fp16"))).text


def test_tf32_is_named_where_a_gpu_computes() -> None:
    given = full_report()
    assert "TF32" not in Page(page(given)).text
    engines = tuple(replace(one, precision="fp32", tf32=False) for one in given.engines)
    text = Page(page(replace(given, precision="fp32", tf32=True, engines=engines))).text
    assert "precisionfp32, TF32 allowed" in text
    assert text.count("fp32 without TF32") == len(engines)
    on_cuda = Page(page(replace(given, device="cuda", tf32=False))).text
    assert "precisionthe types of the graphs without TF32" in on_cuda


def test_norms_that_stay_are_told_with_the_times(full: CompareReport) -> None:
    kept = (StayingNorm("LayerNormalization", "blocks.3.norm1"),)
    staying = dict.fromkeys(TITLES, kept)
    said = "1 LayerNormalization stays in every variant, UN folded and no norm too: blocks.3.norm1."
    assert said in page(replace(full, staying=staying))
    assert "stays in every variant" not in page(full)
