"""Options that several commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from un_deploy.cli.overwriting import Reads, Writes, model_files, onnx_target, python_files
from un_deploy.json_form import JsonForm
from un_deploy.runtime.backends import BACKENDS


class Sizes(click.ParamType):
    """NAME=SIZE, as in batch=8; 0 is the size of an empty past."""

    name = "sizes"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, int]:
        name, _, size = str(value).rpartition("=")
        if not name or not (size.isascii() and size.isdecimal()):
            self.fail(f"{value!r} is not NAME=SIZE, as in batch=8", param, ctx)
        if len(size) > 19 or int(size) >= 2**63:
            self.fail(f"{size} for {name} is beyond the largest size, 2**63 - 1", param, ctx)
        return name, int(size)


class Folded(click.ParamType):
    """A number of norms, or all."""

    name = "folded"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        if value == "all" or isinstance(value, int):
            return value
        if not (value.isascii() and value.isdecimal() and len(value) < 10):
            self.fail(f"{value!r} is neither all nor a number of norms", param, ctx)
        return int(value)


def _once(
    ctx: click.Context, param: click.Parameter, value: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, int], ...]:
    names = [name for name, _ in value]
    for name in names:
        if names.count(name) > 1:
            raise click.BadParameter(f"--dim {name} is given {names.count(name)} times")
    return value


def refuse_seed_with(inputs: str | None) -> None:
    """A seed is of random inputs.

    Raises:
        InputError: it was given on the command line beside inputs.
    """
    from un_deploy.errors import InputError

    source = click.get_current_context().get_parameter_source("seed")
    if inputs is not None and source is ParameterSource.COMMANDLINE:
        raise InputError("--seed is of random inputs, and --inputs gives them: leave one out")


TYPED = "un_deploy.typed"
"""Where a click context keeps the command line as it was typed, for reports that tell it."""

MODEL_FILE = Reads(model_files)
MODEL_TARGET = Writes(onnx_target)
PYTHON = Reads(python_files, path_type=str)


def reads(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """An option that takes a file to read."""
    return click.option(*names, type=settings.pop("type", Reads()), **settings)


def writes(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """An option that takes a file to write."""
    return click.option(*names, type=settings.pop("type", Writes()), **settings)


as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON, and nothing else."
)


def print_json(report: JsonForm, *, samples: bool = True) -> None:
    """The report as JSON, and nothing else."""
    click.echo(report.to_json(samples=samples), nl=False)


json_samples = click.option(
    "--json-samples",
    is_flag=True,
    help="As --json, and every sample with it. --json has what they come to.",
)
force = click.option(
    "--force",
    is_flag=True,
    help="Replace an output that exists already; never a file that the command reads.",
)
keep = click.option(
    "--keep",
    multiple=True,
    metavar="NODE",
    help="Leave this norm as it is. Name one of its operators, or its module. May be repeated.",
)
fold_norm_affine = click.option(
    "--fold-norm-affine",
    is_flag=True,
    help="Fold the scale and shift of LayerNormalizations and RMSNorms too. Without it they stay, "
    "since runtimes recognise a norm that is written out by them.",
)
require_folded = click.option(
    "--require-folded",
    type=Folded(),
    metavar="all|N",
    help="Exit with 3, and write nothing, where fewer norms than N are folded, or (all) where any "
    "norm stays, those that measure their input included.",
)
no_verify = click.option(
    "--no-verify", is_flag=True, help="Write the result without proving that it is equal."
)
output = writes(
    "-o",
    "--output",
    "target",
    type=MODEL_TARGET,
    required=True,
    metavar="OUT",
    help="The ONNX file to write.",
)
inputs = reads(
    "--inputs",
    type=PYTHON,
    metavar="DATA",
    help="The inputs to run the networks on: data.npz, or loader.py:function, which runs as code. "
    "Without it, random inputs in valid ranges.",
)


def _axes(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> dict[str, dict[int, str]]:
    """INPUT:AXIS=NAME, once for each axis, as input -> {axis: name}."""
    axes: dict[str, dict[int, str]] = {}
    for text in value:
        found = re.fullmatch(r"(.+):(\d+)=(\w+)", text, re.ASCII)
        if not found:
            raise click.BadParameter(f"{text!r} is not INPUT:AXIS=NAME, as in input_ids:1=sequence")
        name, axis, dim = found[1], int(found[2]), found[3]
        if axis in axes.setdefault(name, {}):
            raise click.BadParameter(f"axis {axis} of {name} is given twice")
        axes[name][axis] = dim
    return axes


dynamic = click.option(
    "--dynamic",
    "dynamic_axes",
    multiple=True,
    callback=_axes,
    metavar="INPUT:AXIS=NAME",
    help="Leave this dimension of an input open too, for example input_ids:1=sequence. May be "
    "repeated.",
)
exporter = click.option(
    "--exporter",
    type=click.Choice(["dynamo", "torchscript"]),
    default="dynamo",
    help="Which of PyTorch's exporters: dynamo, through torch.export, or the older tracer.",
)

static = click.option(
    "--static",
    is_flag=True,
    help="Fix every dimension at its size in the inputs, but for those of --dynamic.",
)


def sizes(text: str) -> Callable[[Any], Any]:
    """--dim, once for each dimension."""
    return click.option(
        "--dim",
        "dims",
        multiple=True,
        type=Sizes(),
        callback=_once,
        metavar="NAME=SIZE",
        help=f"{text} May be repeated for other dimensions.",
    )


dims = sizes("The size of a dynamic dimension of the inputs, such as batch=8: --shapes in short.")


def shapes(text: str) -> Callable[[Any], Any]:
    """--shapes, in trtexec's spelling, in which build, compare, profile and triton have it."""
    return click.option("--shapes", multiple=True, metavar="NAME:8x3x224x224,...", help=text)


input_shapes = shapes(
    "The shapes of inputs, for example x:8x3x224x224. Those that are not named are as --dim or "
    "the file has them."
)


def parsed_shapes(texts: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """The shapes of all --shapes together.

    Raises:
        InputError: one is not of that form, or an input is named twice.
    """
    from un_deploy.engines.profiles import parse_shapes

    return parse_shapes(",".join(texts)) if texts else {}


device = click.option(
    "--device", help="Device for the torch backends: cpu or cuda.  [default: cpu]"
)
threads = click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    help="Number of CPU threads that the backend computes with.",
)
tf32 = click.option(
    "--tf32/--no-tf32",
    " /--noTF32",
    default=None,
    help="Whether GPUs may compute products of fp32 in TF32, whose mantissa is that of fp16.  "
    "[default: tf32; of a plan what it was built with]",
)
seed = click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Seed of the random inputs."
)


def backend(text: str, *, engines: bool = True) -> Callable[[Any], Any]:
    """--backend, with "auto" and the backends of the table; without those that build engines."""
    names = [one.name for one in BACKENDS.values() if engines or not one.builds_engines]
    return click.option("--backend", type=click.Choice(["auto", *names]), default="auto", help=text)
