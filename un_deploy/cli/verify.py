"""un-deploy verify: does one ONNX file compute what another does?"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command
from un_deploy.errors import VerificationError


@click.command(cls=Command, example="un-deploy verify model.onnx folded.onnx --require proven")
@click.argument("first", metavar="A", type=options.MODEL_FILE)
@click.argument("second", metavar="B", type=options.MODEL_FILE)
@options.inputs
@options.seed
@options.keep
@click.option(
    "--require",
    "level",
    type=click.Choice(["proven"]),
    help='Exit with 3 unless the verdict is "proven": "equal on these inputs" is not enough.',
)
@options.as_json
def command(
    first: Path, second: Path, level: Literal["proven"] | None, as_json: bool, **settings: Any
) -> None:
    """Say whether one ONNX file computes what another does.

    \b
    proven                  B is a fold of A, shown by parts for all inputs, or
                            the same graph
    equal on these inputs   any other pair whose outputs agree in a runtime, at
                            several sizes
    cannot tell             random operators, no runtime, an operator left out
                            that cannot be computed, or rounding hides what
                            differs
    not equal               names the place

    Exit code 0 for the first two, 3 for the others. Which norms the fold kept is seen from B.
    "un-deploy's fold of A" is made anew, and B is held against it; where A is a fold of B, A
    against that of B.
    """
    from un_deploy.cli import progress, show
    from un_deploy.measure.equality.verify import verify

    with progress.working(f"Comparing {second} with {first}"):
        report = verify(first, second, **settings)
    if as_json:
        options.print_json(report)
    else:
        show.verification(report)
    if not report.passed or (level == "proven" and report.verdict != "proven"):
        raise click.exceptions.Exit(VerificationError.exit_code)
