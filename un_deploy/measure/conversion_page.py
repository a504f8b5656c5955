"""What each LayerNorm of a network costs to lose, as one page: a plot and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from un_deploy.measure.report import plot_style
from un_deploy.measure.report.html import written
from un_deploy.measure.report.page_elements import Cell, Contents, Headline, Plot, Section, Table
from un_deploy.version import __version__

if TYPE_CHECKING:
    from un_deploy.conversion.choose import Trial
    from un_deploy.conversion.loss import Loss
    from un_deploy.conversion.measure import Harm, NormHarm


def page(harm: Harm, model: str, trials: Sequence[Trial] = ()) -> str:
    """The page.

    Args:
        harm: of each norm alone.
        model: what it is of.
        trials: choices of norms that were tried, if any.

    Raises:
        MissingPackageError: plotly or Jinja2 is not installed.
    """
    by_name = {norm.name: norm for norm in harm.norms}
    least, *_, most = (by_name[name] for name in (*harm.ordered[:1], *harm.ordered))
    text = f"Lost alone, {least.name} costs {least.loss.value:.3g}"
    if most is not least:
        text += f" and {most.name} {most.loss.value:.3g}"
    facts = (("network", model), ("loss", harm.metric), ("norms", str(len(harm.norms))))
    sections = [_norms(harm), *([_trials(trials)] if trials else []), *_left(harm)]
    return written(
        Contents(
            title="What each norm costs to lose",
            about="a network's LayerNorms, each alone in its nearest scale and shift",
            headline=Headline(f"{text}.", "muted", (), ()),
            summary=facts,
            sections=tuple(sections),
            version=__version__,
        )
    )


def _norms(harm: Harm) -> Section:
    return Section(
        "harm",
        "Each norm alone",
        (
            "One LayerNorm at a time becomes the scale and shift per channel that comes nearest to "
            f"it, all others stay, and the network is judged by the {harm.metric}.",
        ),
        terms=(
            ("loss", f"{harm.metric}, with its 95 % interval over samples"),
            (
                "input varies",
                "standard deviation over mean of the tokens' root mean squares in front of the "
                "norm: a fixed scale cannot follow it",
            ),
            (
                "unexplained",
                "the part of what the norm gives that no scale and shift per channel can give",
            ),
        ),
        plots=(_plot(harm),),
        tables=(
            Table(
                "The harm of each norm, in the order in which they run",
                ("norm", ">input varies", ">unexplained", ">loss", ">95 % interval"),
                tuple(_row(norm) for norm in harm.norms),
            ),
        ),
    )


def _row(norm: NormHarm) -> tuple[str | Cell, ...]:
    return (
        Cell(norm.name, code=True),
        f"{norm.varies:.2f}",
        f"{norm.unexplained:.1%}",
        f"{norm.loss.value:.4g}",
        _span(norm.loss),
    )


def _span(loss: Loss) -> str:
    return "none" if loss.interval is None else "{:.4g} to {:.4g}".format(*loss.interval)


def _plot(harm: Harm) -> Plot:
    drawn = plot_style.figure()
    colour = plot_style.COLOURS["ln"]
    texts = [f"{norm.name}: {norm.loss}" for norm in harm.norms]
    ends = []
    for row, (norm, text) in enumerate(zip(harm.norms, texts, strict=True)):
        value = norm.loss.value
        low, high = norm.loss.interval or (value, value)
        ends += [low, high]
        drawn.add_scatter(
            x=[value],
            y=[row],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - value],
                "arrayminus": [value - low],
                "color": colour,
                "thickness": 2.5,
                "width": 6,
            },
            mode="markers",
            marker={"color": colour, "size": 11},
            text=[plot_style.label(text)],
            hovertemplate="%{text}<extra></extra>",
        )
    plot_style.rows(drawn, [plot_style.label(text) for text in texts])
    spread = min(ends) > 0 and max(ends) > 10 * min(ends)
    drawn.update_xaxes(title_text=plot_style.label(harm.metric), type="log" if spread else "linear")
    return plot_style.plot(
        drawn,
        name="plot-harm",
        says=f"The loss where each norm goes alone. {'; '.join(texts)}",
        caption="From the first norm to run to the last; the bar is the 95 % interval."
        + (" The axis is logarithmic." if spread else ""),
        height=58 * len(texts) + 80,
    )


def _trials(trials: Sequence[Trial]) -> Section:
    rows = tuple(
        (
            str(len(one.kept)),
            f"{one.loss.value:.4g}",
            _span(one.loss),
            Cell(", ".join(one.kept) or "none", "muted", code=True),
        )
        for one in trials
    )
    columns = ("norms kept", ">loss of all others together", ">95 % interval", "which stay")
    return Section("tried", "What was tried", tables=(Table("Choices, in turn", columns, rows),))


def _left(harm: Harm) -> list[Section]:
    if not harm.left:
        return []
    rows = tuple((Cell(name, code=True), why) for name, why in harm.left.items())
    return [Section("left", "Not looked at", tables=(Table("Why", ("norm", "why"), rows),))]
