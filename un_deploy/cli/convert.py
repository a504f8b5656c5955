"""un-deploy convert: from a trained LayerNorm network to a checkpoint with UN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command
from un_deploy.cli.overwriting import Writes

_DATA = "LOADER"


@click.command(
    cls=Command,
    example="un-deploy convert net.py:make --checkpoint ln.pt --data data.npz -o un.pt",
    groups={
        "Data": "data heldout evaluate padding",
        "What is converted": "checkpoint keep max_loss refit",
        "Training afterwards": "finetune steps learning_rate",
        "Output": "target html force as_json",
    },
)
@click.argument("model", metavar="MODEL", type=options.PYTHON)
@options.reads("--checkpoint", required=True, help="The trained weights: .pt or .safetensors.")
@options.reads(
    "--data",
    type=options.PYTHON,
    required=True,
    metavar=_DATA,
    help="Batches to fit with, a few hundred samples: loader.py:function, which runs as code and "
    "gives what the model is called with, batch by batch: a tensor or an array, a tuple of "
    "positional arguments, or a dict by the names of forward's arguments. Or data.npz.",
)
@options.reads(
    "--heldout",
    type=options.PYTHON,
    metavar=_DATA,
    help="Other samples, at least two batches, to choose and judge by. Without it, half of --data.",
)
@options.reads(
    "--evaluate",
    type=options.PYTHON,
    metavar="SCORE",
    help="loader.py:function from a module to its score, higher is better: one number, or one of "
    "each example, which gives an interval. Without it, the divergence of the outputs.",
)
@options.reads(
    "--padding",
    type=options.PYTHON,
    metavar="MASK",
    help="loader.py:function from a batch to its mask, True where a token is padding.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="auto|NAME",
    help="Leave the LayerNorms of this name, or pattern, as they are; auto: as few as --max-loss "
    "allows. May be repeated.",
)
@click.option(
    "--max-loss",
    type=float,
    metavar="X",
    help="What the conversion may cost, in units of the score, or of the divergence: 0 is the same "
    "answer, 1 one that does not depend on the input. Exit with 3 where it costs more, or where so "
    "many samples do not show that it costs less.",
)
@click.option(
    "--refit/--no-refit",
    default=True,
    help="Fit the linear layers beside the norms anew, each where held-out data says that it "
    "helps. The default.",
)
@options.reads(
    "--finetune",
    type=options.PYTHON,
    metavar=_DATA,
    help="Train on these batches afterwards, without labels: the network learns to answer as the "
    "original does.",
)
@click.option("--steps", type=click.IntRange(1), help="Batches of --finetune to train on.")
@click.option(
    "--learning-rate", type=float, default=1e-3, help="The largest of that training. Default 0.001."
)
@options.writes(
    "-o",
    "--output",
    "target",
    type=Writes(),
    required=True,
    metavar="OUT.pt",
    help="The checkpoint to write, which export and compare take with the same MODEL.",
)
@options.writes(
    "--html",
    metavar="FILE",
    help="Write what each norm alone costs to lose to this file, as one HTML page with a plot.",
)
@options.force
@options.as_json
def command(model: str, target: Path, as_json: bool, **settings: Any) -> None:
    """Convert a trained LayerNorm network to UN.

    MODEL is what export takes. Each LayerNorm becomes the fixed scale and shift that comes nearest
    to it, without training; --finetune trains on from there. What that costs is measured on samples
    that nothing was fitted to, or by --evaluate on samples of its own.
    """
    from un_deploy.cli import progress, show
    from un_deploy.pipeline.convert import convert

    with progress.working(f"Converting {model}"):

        def tell(done: int, steps: int, loss: float) -> None:
            progress.LOGGER.debug("Training: step %d of %d, loss %.4f", done, steps, loss)

        report = convert(model, target, tell=tell, **settings)
    if as_json:
        options.print_json(report)
    else:
        show.told(report.told())
