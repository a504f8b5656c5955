"""un-deploy build: an ONNX file becomes a TensorRT plan."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command
from un_deploy.cli.overwriting import Writes, anything, plan_target


def _spelled(name: str, **settings: Any) -> Callable[[Any], Any]:
    """An option in trtexec's spelling, inputIOFormats, and its kebab alias, input-io-formats."""
    kebab = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()
    return click.option(f"--{name}", f"--{kebab}", kebab.replace("-", "_"), **settings)


@click.command(
    cls=Command,
    example="un-deploy build net.onnx -o net.plan --precision fp16 --shapes x:8x3x224x224\n"
    "un-deploy build net.onnx -o net.plan --precision fp16 --dim batch=8",
    groups={
        "Output": "target force",
        "Precision": "precision keep_fp32 tf32 require_types input_io_formats output_io_formats",
        "Shapes": "shapes dims min_shapes opt_shapes max_shapes",
        "The builder": "flavor mem_pool_size builder_optimization_level timing_cache_file",
        "Where the plan runs": "version_compatible hardware_compatibility_level "
        "compute_capability strip_weights refit",
        "Part of the graph": "mark_output region_input region_output",
    },
)
@click.argument("source", metavar="MODEL.onnx", type=options.MODEL_FILE)
@options.writes(
    "-o",
    "--output",
    "target",
    type=Writes(plan_target),
    required=True,
    metavar="MODEL.plan",
    help="The plan to write; its manifest goes beside it.",
)
@click.option(
    "--flavor",
    type=click.Choice(["auto", "tensorrt", "tensorrt-rtx"]),
    default="auto",
    help="Which TensorRT builds the plan; auto: the one that is installed, TensorRT before RTX.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "bf16"]),
    help="Convert the graph to this precision before the build, and check that the engine's "
    "kernels have it. Inputs and outputs stay fp32.",
)
@click.option(
    "--keep-fp32",
    multiple=True,
    metavar="NAME",
    help="A node, tensor or operator type to leave in fp32. May be repeated.",
)
@click.option(
    "--tf32/--no-tf32",
    " /--noTF32",
    default=True,
    help="Whether the engine may compute products of fp32 in TF32, whose mantissa is that of fp16.",
)
@click.option(
    "--require-types",
    is_flag=True,
    help="Refuse an engine, too, whose kernels do not tell in which type every product is "
    "computed; else these products are named.",
)
@_spelled(
    "minShapes",
    multiple=True,
    metavar="NAME:1x3x224x224,...",
    help="The smallest shapes that the engine takes.",
)
@_spelled(
    "optShapes",
    multiple=True,
    metavar="NAME:8x3x224x224,...",
    help="The shapes that the engine is tuned for. Alone, they stand for all three.",
)
@_spelled(
    "maxShapes",
    multiple=True,
    metavar="NAME:32x3x224x224,...",
    help="The largest shapes that the engine takes. The three together are an optimisation "
    "profile; where they are repeated, the n-th of each make the n-th profile.",
)
@options.shapes(
    "The only shapes that the engine takes: a profile whose three shapes are the same. For "
    "all four: scalar for a scalar; quotes around a name that holds commas and colons; of an input "
    "that the network reads as a shape, its values."
)
@options.sizes(
    "The only size of a dynamic dimension that the engine takes, for example batch=8: --shapes in "
    "short."
)
@_spelled(
    "memPoolSize",
    metavar="POOL:SIZE,...",
    help="Memory that the builder may use, for example workspace:1G; MiB where no unit is given.",
)
@_spelled(
    "builderOptimizationLevel",
    type=click.IntRange(0, 5),
    help="How long the builder may search for fast kernels; 5 is the longest.",
)
@_spelled(
    "timingCacheFile",
    type=Writes(check=anything),
    help="Timings of kernels: read from this file where it exists, written to it after the build.",
)
@_spelled(
    "versionCompatible",
    is_flag=True,
    help="Build a plan that later versions of TensorRT can load.",
)
@_spelled(
    "hardwareCompatibilityLevel",
    type=click.Choice(["none", "ampere+", "sameComputeCapability"]),
    help="The GPUs beside this one that the plan can run on.",
)
@_spelled("stripWeights", is_flag=True, help="Leave the weights out of the plan.")
@click.option(
    "--refit", is_flag=True, help="Let the weights of the built engine be replaced later."
)
@_spelled(
    "inputIOFormats",
    metavar="TYPE:FORMAT[+FORMAT],...",
    help="Element type and memory layout of the inputs, for example fp16:chw; one for each in "
    "order, or one for all.",
)
@_spelled(
    "outputIOFormats",
    metavar="TYPE:FORMAT[+FORMAT],...",
    help="The same for the outputs.",
)
@_spelled(
    "computeCapability",
    metavar="SM,...",
    help="TensorRT-RTX: build for GPUs of these compute capabilities, for example 80,120.",
)
@click.option(
    "--mark-output",
    multiple=True,
    metavar="TENSOR",
    help="Let the engine return this inner tensor as well. May be repeated.",
)
@click.option(
    "--region-input",
    multiple=True,
    metavar="TENSOR",
    help="Build a part of the graph only: this tensor is an input of it. May be repeated.",
)
@click.option(
    "--region-output",
    multiple=True,
    metavar="TENSOR",
    help="Build a part of the graph only: this tensor is an output of it. May be repeated.",
)
@options.force
@options.as_json
def command(
    source: Path,
    target: Path,
    min_shapes: tuple[str, ...],
    opt_shapes: tuple[str, ...],
    max_shapes: tuple[str, ...],
    shapes: tuple[str, ...],
    dims: tuple[tuple[str, int], ...],
    mem_pool_size: str | None,
    builder_optimization_level: int | None,
    timing_cache_file: Path | None,
    version_compatible: bool,
    hardware_compatibility_level: str | None,
    strip_weights: bool,
    refit: bool,
    tf32: bool,
    input_io_formats: str | None,
    output_io_formats: str | None,
    compute_capability: str | None,
    mark_output: tuple[str, ...],
    region_input: tuple[str, ...],
    region_output: tuple[str, ...],
    as_json: bool,
    **settings: Any,
) -> None:
    """Build a TensorRT plan and a manifest from an ONNX file.

    The network is strongly typed: --precision converts the graph, and the kernels of the engine
    are held against it before anything is written. An option that a flavour of TensorRT does not
    have, or would ignore, is refused. TensorRT-RTX builds without a GPU; plans of either flavour
    are untested on hardware.
    """
    from un_deploy.cli import progress, show
    from un_deploy.engines.building import options as engine
    from un_deploy.engines.profiles import parse_shapes, profiles_of
    from un_deploy.pipeline.build import Surgery, build

    all_alike = [parse_shapes(text) for text in shapes]
    three = (("--minShapes", min_shapes), ("--optShapes", opt_shapes), ("--maxShapes", max_shapes))
    profiles = profiles_of(
        *([*(parse_shapes(text, flag) for text in texts), *all_alike] for flag, texts in three)
    )
    texts = (
        ("memory_pools", engine.parse_memory_pools, mem_pool_size),
        ("input_formats", partial(engine.parse_formats, flag="--inputIOFormats"), input_io_formats),
        (
            "output_formats",
            partial(engine.parse_formats, flag="--outputIOFormats"),
            output_io_formats,
        ),
        ("compute_capabilities", engine.parse_compute_capabilities, compute_capability),
    )
    parsed: dict[str, Any] = {
        field: parse(text) for field, parse, text in texts if text is not None
    }
    build_options = engine.BuildOptions(
        builder_optimization_level=builder_optimization_level,
        timing_cache=timing_cache_file,
        version_compatible=version_compatible,
        hardware_compatibility=hardware_compatibility_level,
        strip_weights=strip_weights,
        refit=refit,
        tf32=tf32,
        **parsed,
    )
    with progress.working(what := f"Building {source}"):
        report = build(
            source,
            target,
            profiles=profiles,
            dims=dict(dims),
            options=build_options,
            surgery=Surgery(region_input, region_output, mark_output),
            progress=progress.phases(what),
            **settings,
        )
    if as_json:
        options.print_json(report)
    else:
        show.build(report)
