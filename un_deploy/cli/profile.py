"""un-deploy profile: where the time of a network goes, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command


@click.command(
    cls=Command,
    example="un-deploy profile folded.onnx --shapes x:8x3x224x224 --top 10",
    groups={
        "What runs it": "backend device threads tf32",
        "Inputs": "shapes dims inputs seed",
        "How much is timed": "runs warm_up",
        "Output": "top profile_file times_file layers_file force as_json json_samples",
    },
)
@click.argument("source", metavar="MODEL", type=options.MODEL_FILE)
@options.backend(
    "What runs an ONNX file; auto: ONNX Runtime on the CPU, else torch.", engines=False
)
@options.device
@options.threads
@options.tf32
@click.option(
    "--runs", type=click.IntRange(min=1), default=20, help="Number of runs that are timed."
)
@click.option(
    "--warm-up",
    type=click.IntRange(min=0),
    default=5,
    help="Number of runs before the timed ones.",
)
@options.input_shapes
@options.dims
@options.inputs
@options.seed
@click.option(
    "--top", type=click.IntRange(min=1), metavar="N", help="Show only the N slowest layers."
)
@options.writes(
    "-o",
    "--output",
    "--exportProfile",
    "--export-profile",
    "profile_file",
    metavar="OUT",
    help="Write the layers' times to this file, in trtexec's form.",
)
@options.writes(
    "--exportTimes",
    "--export-times",
    "times_file",
    metavar="OUT",
    help="Write the times of whole runs to this file, in trtexec's form.",
)
@options.writes(
    "--exportLayerInfo",
    "--export-layer-info",
    "layers_file",
    metavar="OUT",
    help="For a plan: write what TensorRT tells of its layers to this file, in trtexec's form.",
)
@options.force
@options.as_json
@options.json_samples
def command(
    source: Path,
    dims: tuple[tuple[str, int], ...],
    shapes: tuple[str, ...],
    top: int | None,
    profile_file: Path | None,
    times_file: Path | None,
    layers_file: Path | None,
    force: bool,
    as_json: bool,
    json_samples: bool,
    **settings: Any,
) -> None:
    """Time each layer of an ONNX file or a plan.

    Beside each layer stand the ONNX nodes that it computes: one, or all that were fused. ONNX
    Runtime on the CPU can tell, eager torch, and TensorRT. A plan runs in the TensorRT that built
    it, needs its manifest beside it, and is code: load only those you trust. Plans are untested on
    hardware.
    """
    from un_deploy.cli import progress, show
    from un_deploy.engines.plan.header import is_plan
    from un_deploy.errors import InputError
    from un_deploy.files import atomic_write_text, check_target
    from un_deploy.pipeline.profile import ProfileReport, profile

    texts: tuple[tuple[Path | None, Callable[[ProfileReport], str]], ...] = (
        (profile_file, ProfileReport.trtexec_profile),
        (times_file, ProfileReport.trtexec_times),
        (layers_file, ProfileReport.trtexec_layers),
    )
    wanted = [(target, text) for target, text in texts if target is not None]
    for target, _ in wanted:
        check_target(target, force=force)
    if layers_file is not None and source.exists() and not is_plan(source):
        raise InputError(
            f"{source} is no plan: only TensorRT tells of an engine's layers, so leave out "
            "--exportLayerInfo"
        )
    if top is not None and (as_json or json_samples):
        raise InputError("--top is of the table, and --json has all layers: leave one out")
    options.refuse_seed_with(settings["inputs"])
    with progress.working(f"Timing {source}"):
        report = profile(source, dims=dict(dims), shapes=options.parsed_shapes(shapes), **settings)
    for target, text in wanted:
        atomic_write_text(target, text(report), force=force)
    if as_json or json_samples:
        options.print_json(report, samples=json_samples)
    else:
        show.profile(report, top)
