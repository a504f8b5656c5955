"""The HTML report opened from disk, without a network, wide and narrow, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from tests.browser.chromium import Browser, browser
from tests.support.reports import HOSTILE, dated, full_report, layer, report, restless
from un_deploy.measure.report.html import page, written
from un_deploy.measure.report.over_time import contents

pytestmark = pytest.mark.browser

WIDTHS, THEMES = (1280, 400), ("light", "dark")
SHOTS = Path("build/browser")
MARKS = {
    "plot-ratios": 5,
    "plot-times": 5,
    "plot-sweep": 4,
    "plot-latency": 4,
    "plot-layers": 7,
    "plot-memory": 4,
    "plot-peak-memory": 4,
}
"""Series that each plot of the full report draws."""

DRAWN = """
return Object.fromEntries([...document.querySelectorAll(".plot")].map(plot => [plot.id,
  [...plot.querySelectorAll(".main-svg .trace")].filter(trace => {
    const box = trace.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && trace.querySelector("path");
  }).length]));
"""
OUTSIDE = """
const edge = document.documentElement.clientWidth;
return [...document.querySelectorAll("body *")].filter(one =>
  !one.closest(".scroll *, .skip, script, style, svg *, #js-plotly-tester") &&
  (one.getBoundingClientRect().right > edge + 0.5 || one.getBoundingClientRect().left < -0.5)
).map(one => one.tagName + "." + one.className);
"""
CUT = """
const texts = ".annotation-text, .xtick text, .ytick text, .xtitle, .ytitle, .legendtext";
return [...document.querySelectorAll(`.plot :is(${texts})`)].filter(text => {
  const plot = text.closest(".plot").getBoundingClientRect(), box = text.getBoundingClientRect();
  return box.left < plot.left - 1 || box.right > plot.right + 1 ||
    box.top < plot.top - 1 || box.bottom > plot.bottom + 1;
}).map(text => text.textContent);
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    SHOTS.mkdir(parents=True, exist_ok=True)
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def source() -> str:
    return page(full_report())


def over_time() -> str:
    """A year of reports, one of them unsteady, of three batch sizes each."""
    dates = [f"2026-{month:02}-02T08:15:00+00:00" for month in range(1, 13)]
    reports = [
        (f"reports/{date[:7]}.json", dated(full_report(seed=month), date))
        for month, date in enumerate(dates)
    ]
    reports[4] = (reports[4][0], restless(reports[4][1]))
    return written(contents(reports))


PAGES: dict[str, tuple[Callable[[], str], dict[str, int]]] = {
    "steady": (lambda: page(full_report()), MARKS),
    "unsteady": (lambda: page(restless(full_report())), MARKS),
    "few": (lambda: page(report(builds=2, rounds=4)), {"plot-ratios": 5, "plot-times": 5}),
    "over-time": (over_time, dict.fromkeys(("plot-series-1", "plot-series-2"), 4)),
}
"""Each page, and the series that its plots draw."""


def problems(
    chromium: Browser,
    written: Path,
    width: int,
    theme: str = "light",
    marks: Mapping[str, int] = MARKS,
) -> list[str]:
    """Everything that is wrong with a page; empty where nothing is."""
    chromium.open(written, width=width, theme=theme)
    found = [f"the console says {message}" for message in chromium.console()]
    allowed = (written.resolve().as_uri(), "data:", "blob:")
    found += [f"asks for {u}" for u in chromium.requests() if not u.startswith(allowed)]
    drawn = chromium.ask(DRAWN)
    found += [
        f"{name} draws {drawn.get(name)} of {count}"
        for name, count in marks.items()
        if drawn.get(name) != count
    ]
    wide = chromium.ask("return document.documentElement.scrollWidth")
    if wide > width:
        found.append(f"is {wide} pixels wide in a window of {width}")
    found += [f"{one} stands beside the page" for one in chromium.ask(OUTSIDE)]
    found += [f"the text {text!r} of a plot is cut" for text in chromium.ask(CUT)]
    return found


@pytest.mark.parametrize(
    ("name", "width", "theme"),
    [
        *((name, *how) for name in ("steady", "unsteady") for how in product(WIDTHS, THEMES)),
        *(
            (name, *how)
            for name in ("few", "over-time")
            for how in zip(WIDTHS, THEMES, strict=True)
        ),
    ],
)
def test_nothing_is_wrong(
    chromium: Browser, tmp_path: Path, name: str, width: int, theme: str
) -> None:
    made, marks = PAGES[name]
    written = tmp_path / "report.html"
    written.write_text(made(), encoding="utf-8")
    assert problems(chromium, written, width, theme, marks) == []
    chromium.shoot(SHOTS / f"{name}-{width}-{theme}.png")
    back = chromium.ask("return getComputedStyle(document.body).backgroundColor")
    text = chromium.ask("return getComputedStyle(document.querySelector('.plot text')).fill")
    assert (back, text) == {
        "light": ("rgb(255, 255, 255)", "rgb(27, 31, 36)"),
        "dark": ("rgb(20, 23, 28)", "rgb(228, 231, 235)"),
    }[theme]


@pytest.mark.parametrize(
    ("injected", "found"),
    [
        ("<script>window.owned = true</script>", "Content Security Policy"),
        ("<img src='https://example.com/a.png' alt=''>", "Content Security Policy"),
        ("<div style='width: 3000px'>wide</div>", "is 30"),
        ("<p style='margin-left: -200px'>out</p>", "P. stands beside the page"),
    ],
)
def test_what_is_wrong_is_found(
    chromium: Browser, source: str, tmp_path: Path, injected: str, found: str
) -> None:
    written = tmp_path / "report.html"
    written.write_text(source.replace('<main id="main">', f'<main id="main">{injected}'))
    assert any(found in problem for problem in problems(chromium, written, 400))
    assert chromium.ask("return window.owned") is None


def test_an_error_of_a_script_and_a_request_are_found(
    chromium: Browser, source: str, tmp_path: Path
) -> None:
    start = source.index('<meta http-equiv="Content-Security-Policy"')
    free = source[:start] + source[source.index(">", start) + 1 :]
    written = tmp_path / "report.html"
    bad = "<script>fetch('https://example.com/a'); undefined.nothing</script></body>"
    written.write_text(free.replace("</body>", bad), encoding="utf-8")
    found = problems(chromium, written, 1280)
    assert any("TypeError" in problem for problem in found)
    assert "asks for https://example.com/a" in found


def test_a_plot_that_is_not_drawn_is_found(chromium: Browser, source: str, tmp_path: Path) -> None:
    written = tmp_path / "report.html"
    written.write_text(source.replace('id="plot-sweep-data"', 'id="gone"'), encoding="utf-8")
    found = problems(chromium, written, 1280)
    assert "plot-sweep draws 0 of 4" in found and "plot-memory draws 0 of 4" in found


def test_hostile_names_run_nothing(chromium: Browser, tmp_path: Path) -> None:
    full = full_report()
    first, *others = full.timed
    bad = replace(
        full,
        timed=(replace(first, form=HOSTILE, source=HOSTILE), *others),
        ratios=tuple(replace(ratio, form=HOSTILE) for ratio in full.ratios),
        notes=(HOSTILE,),
        environment={HOSTILE: HOSTILE},
        inputs={HOSTILE: (8, 3)},
        layers=tuple(
            replace(one, form=HOSTILE, layers=(layer(HOSTILE, "other", 1.0, HOSTILE), *one.layers))
            for one in full.layers
        ),
    )
    written = tmp_path / "report.html"
    written.write_text(page(bad), encoding="utf-8")
    marks = {**MARKS, "plot-latency": 5}  # its LN is no form of that at the other sizes
    assert problems(chromium, written, 400, marks=marks) == []
    assert chromium.ask("return document.title").startswith("LN, UN and no norm compared")
    shown = "return document.querySelector('#plot-times .annotation-text').textContent"
    assert "<script>" in chromium.ask(shown)


def test_all_kernels_and_layers_can_be_shown_and_it_prints(
    chromium: Browser, source: str, tmp_path: Path
) -> None:
    written = tmp_path / "report.html"
    written.write_text(source, encoding="utf-8")
    chromium.open(written, width=400, theme="dark")
    chromium.ask("for (const one of document.querySelectorAll('details')) one.open = true")
    assert chromium.ask("return document.querySelectorAll('#kernels tbody tr').length") == 4
    assert chromium.ask("return document.querySelectorAll('#layers-beside tbody tr').length") == 6
    assert chromium.ask("return document.documentElement.scrollWidth") <= 400
    chromium.print(SHOTS / "report.pdf")
    assert (SHOTS / "report.pdf").read_bytes().startswith(b"%PDF")
