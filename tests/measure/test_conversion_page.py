"""The page of a conversion: plot and tables say what was measured, and nothing is markup."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("plotly")
pytest.importorskip("jinja2")

from tests.measure.report.test_page import Page
from un_deploy.conversion.choose import Trial
from un_deploy.conversion.loss import Loss
from un_deploy.conversion.measure import Harm, NormHarm
from un_deploy.measure.conversion_page import page

pytestmark = pytest.mark.torch
HARM = Harm(
    "divergence of the outputs",
    (
        NormHarm("blocks.0.norm1", 0.52, 0.189, Loss(0.2257, (0.1738, 0.2775))),
        NormHarm("blocks.0.norm2", 0.45, 0.158, Loss(0.05907, (0.04721, 0.07092))),
        NormHarm("norm", 0.05, 0.001, Loss(0.0004, (0.0003, 0.0005))),
    ),
    {"rms": "RMSNorm is no LayerNorm"},
)


def test_every_norm_is_drawn_in_the_order_in_which_they_run() -> None:
    shown = Page(page(HARM, "vit.py:vit"))
    drawn = shown.plots["plot-harm"]
    for row, (point, norm) in enumerate(zip(drawn["data"], HARM.norms, strict=True)):
        assert (point["x"], point["y"]) == ([norm.loss.value], [row])
        assert point["x"][0] + point["error_x"]["array"][0] == pytest.approx(norm.loss.interval[1])
        assert point["x"][0] - point["error_x"]["arrayminus"][0] == pytest.approx(
            norm.loss.interval[0]
        )
    assert drawn["layout"]["xaxis"]["type"] == "log"  # from 0.0003 to 0.28
    assert "Lost alone, norm costs 0.0004 and blocks.0.norm1 0.226." in shown.text


def test_the_tables() -> None:
    trials = (
        Trial((), Loss(0.2343, (0.1983, 0.2703))),
        Trial(("blocks.0.norm1",), Loss(0.04, None)),
    )
    shown = Page(page(HARM, "vit.py:vit", trials))
    rows = shown.tables["The harm of each norm, in the order in which they run"][1:]
    assert rows[0] == ["blocks.0.norm1", "0.52", "18.9%", "0.2257", "0.1738 to 0.2775"]
    assert [row[0] for row in rows] == [norm.name for norm in HARM.norms]
    assert shown.tables["Choices, in turn"][1:] == [
        ["0", "0.2343", "0.1983 to 0.2703", "none"],
        ["1", "0.04", "none", "blocks.0.norm1"],
    ]
    assert shown.tables["Why"][1:] == [["rms", "RMSNorm is no LayerNorm"]]


def test_a_gain_is_drawn_on_a_linear_axis() -> None:
    """A score may rise: below 0 there is no logarithm. One norm alone has no other to name."""
    gained = NormHarm("<b>norm</b>", 0.05, 0.001, Loss(-0.2, (-0.5, 0.1)))
    shown = Page(page(Harm("points of <i>accuracy</i>", (gained,), {}), "x.py:y"))
    (axis,) = [shown.plots["plot-harm"]["layout"]["xaxis"]]
    assert axis["type"] == "linear"
    assert axis["title"]["text"] == "points of &lt;i&gt;accuracy&lt;/i&gt;"
    assert "Lost alone, <b>norm</b> costs -0.2." in shown.text
    assert not shown.all("b") and not shown.all("i")
