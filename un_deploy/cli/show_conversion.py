"""How a conversion looks in a terminal: the harm of each norm, what was tried, what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from un_deploy.cli import show

if TYPE_CHECKING:
    from un_deploy.pipeline.convert import ConvertReport


def conversion(report: ConvertReport) -> None:
    """Show a report of `convert`."""
    if report.harm is not None:
        show.line(f"Each norm alone, as the nearest scale and shift ({report.harm.metric}):")
        show.table(
            ("norm", ">input varies", ">unexplained", ">loss"),
            [
                (one.name, f"{one.varies:.2f}", f"{one.unexplained:.1%}", str(one.loss))
                for one in report.harm.norms
            ],
        )
    if report.choice is not None:
        for trial in report.choice.trials:
            show.line(f"With {len(trial.kept)} kept the rest costs {trial.loss}.")
    done = report.calibration
    show.line(
        f"{len(done.converted)} norms became a scale and a shift, fitted on {done.tokens} tokens; "
        f"{len(done.centred)} layers were centred, {len(done.refitted)} refitted."
    )
    chosen = () if report.choice is None else report.choice.kept
    for name, why in done.left.items():
        show.line(f"{name} stays: {'its loss is too high' if name in chosen else why}.")
    samples = "samples that nothing was fitted to"
    if report.judged_by_what_chose:
        samples += " (but that chose which norms stay: score it once more on others)"
    show.line(f"On {samples}, {report.metric}:")
    for stage in report.stages:
        show.line(f"  {stage.name} in {stage.seconds:.0f} s: {stage.loss}")
    show.line(f"Wrote {report.target}")
