"""un-deploy triton: a model's folder in a Triton Inference Server repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command
from un_deploy.cli.overwriting import Writes
from un_deploy.files import check_folder_inside


def _name(values: dict[str, Any]) -> str:
    return values["name"] or values["source"].stem


def _check(repository: Path, values: dict[str, Any]) -> None:
    check_folder_inside(repository, _name(values), force=values["force"])


def _replaced(repository: Path, values: dict[str, Any]) -> tuple[Path, Path]:
    """What is not kept of a model that is there: its configuration, and this version of it."""
    folder = repository / _name(values)
    return folder / "config.pbtxt", folder / str(values["version"])


@click.command(
    cls=Command,
    example="un-deploy triton folded.onnx --repository models --max-batch-size 32",
    groups={
        "The repository": "repository name version force",
        "Batches": "max_batch_size dynamic_batching max_queue_delay preferred_batch_sizes",
        "Where it runs": "instances kind accelerator",
        "Warm-up": "warm_up shapes dims",
    },
)
@click.argument("source", metavar="MODEL", type=options.MODEL_FILE)
@options.writes(
    "--repository",
    type=Writes(_replaced, folder=True, check=_check),
    required=True,
    metavar="DIR",
    help="The model repository, that is the folder that tritonserver is given.",
)
@click.option(
    "--name", help="Name of the model in the repository. Without it, the name of its file."
)
@click.option(
    "--version",
    type=click.IntRange(min=1),
    default=1,
    help="Version of the model in the repository. Triton serves the latest.",
)
@click.option(
    "--max-batch-size",
    type=click.IntRange(min=0),
    metavar="N",
    help="Most rows that Triton may put into one batch; 0: it makes no batches. Without it: 0 "
    "where the batch is fixed, and what a plan's profiles allow. An ONNX file with a dynamic batch "
    "needs it.",
)
@click.option(
    "--dynamic-batching/--no-dynamic-batching",
    default=None,
    help="Let Triton put waiting requests together into a batch. On unless batches hold one row.",
)
@click.option(
    "--max-queue-delay",
    type=click.IntRange(min=0),
    metavar="US",
    help="The longest that a request waits for others to join it, in microseconds.",
)
@click.option(
    "--preferred-batch-size",
    "preferred_batch_sizes",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="A batch size at which Triton does not wait for more requests. May be repeated.",
)
@click.option(
    "--instances",
    type=click.IntRange(min=1),
    default=1,
    help="Number of copies of the model, on each GPU or on the CPU.",
)
@click.option(
    "--kind",
    type=click.Choice(["auto", "gpu", "cpu"]),
    default="auto",
    help="Where the copies run; auto: on the GPUs, if the server has any. Plans run on GPUs only.",
)
@click.option(
    "--accelerator",
    type=click.Choice(["tensorrt", "tensorrt:fp16"]),
    help="Let TensorRT run what it can of an ONNX file on GPUs; with fp16 it may compute in that, "
    "which is not checked.",
)
@click.option(
    "--warm-up/--no-warm-up",
    default=None,
    help="Let Triton run the model on zeros before it serves. On unless a size is unknown.",
)
@options.shapes(
    "The shapes of inputs in the warm-up, for example ids:8x128. Where Triton makes batches, the "
    "first size has to fit into one, and the warm-up still has one row, and the largest batch."
)
@options.sizes(
    "The size of a dynamic dimension in the warm-up, for example sequence=128: --shapes in short."
)
@options.force
@options.as_json
def command(
    source: Path,
    repository: Path,
    name: str | None,
    version: int,
    dims: tuple[tuple[str, int], ...],
    shapes: tuple[str, ...],
    force: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Write a model into a Triton model repository.

    MODEL: an ONNX file, or a plan of standard TensorRT with its manifest (MODEL.json) beside it.
    With --force, config.pbtxt and this version of a model that exists are replaced; its other
    versions stay. Untested on a server.
    """
    from un_deploy.cli import progress, show
    from un_deploy.pipeline.triton.config import Serving
    from un_deploy.pipeline.triton.repository import write_triton

    with progress.working(f"Writing {repository}"):
        report = write_triton(
            source,
            repository,
            name=name,
            version=version,
            serving=Serving(sizes=dict(dims), shapes=options.parsed_shapes(shapes), **settings),
            force=force,
        )
    if as_json:
        options.print_json(report)
    else:
        show.told(report.told())
