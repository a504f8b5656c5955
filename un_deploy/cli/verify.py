"""un-deploy verify: does one ONNX file compute what another does?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from un_deploy.cli import options
from un_deploy.errors import VerificationError


@click.command()
@click.argument("first", metavar="A", type=options.MODEL_FILE)
@click.argument("second", metavar="B", type=options.MODEL_FILE)
@options.inputs
@options.seed
@options.keep
@options.as_json
def command(first: Path, second: Path, as_json: bool, **settings: Any) -> None:
    """Prove that one ONNX file computes what another does.

    Exit code 3 if it does not. If B is what folding A gives (with the same --keep), every operator
    is compared in float64. Of any other two files only the outputs are compared.
    """
    from un_deploy.cli import show
    from un_deploy.measure.equality.verify import verify

    with show.working(f"Comparing {second} with {first}"):
        report = verify(first, second, **settings)
    if as_json:
        click.echo(report.to_json(), nl=False)
    else:
        show.verification(report)
    if not report.passed:
        raise click.exceptions.Exit(VerificationError.exit_code)
