"""un-deploy export: from a PyTorch model to an ONNX file without its norms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from un_deploy.cli import options
from un_deploy.cli.command import Command
from un_deploy.pipeline.export.norm_names import NORMS


@click.command(
    cls=Command,
    example="un-deploy export net.py:make --norm un --checkpoint net.pt -o net.onnx",
    groups={
        "The model": "norm checkpoint part inputs untrained",
        "The export": "opset exporter static dynamic_axes target force",
        "The fold": "no_fold keep fold_norm_affine require_folded no_verify",
    },
)
@click.argument("model", metavar="MODEL", type=options.PYTHON)
@options.output
@click.option(
    "--norm",
    type=click.Choice(NORMS),
    help="Build the model with these norms: Layer, RMS, Batch or Unified Normalization, DyT, Derf, "
    "or none. Without it, the norms that the factory chooses.",
)
@options.reads(
    "--checkpoint",
    help="The weights to load into the model: a .pt or .safetensors file.",
)
@click.option(
    "--part",
    metavar="NAME",
    help="Export one part of a model that translates or generates text: encoder, first (its first "
    "step) or step (one more token, with keys and values in and out).",
)
@click.option("--no-fold", is_flag=True, help="Export only; leave the norms in the graph.")
@click.option("--opset", type=int, default=20, help="Version of ONNX's operators to export to.")
@options.exporter
@options.reads(
    "--inputs",
    type=options.PYTHON,
    metavar="DATA",
    help="The inputs to export and compare with: data.npz, or loader.py:function, which runs as "
    "code. Without it, the model's own example_inputs().",
)
@click.option("--untrained", is_flag=True, help="Accept a model whose norms have never seen data.")
@options.static
@options.dynamic
@options.keep
@options.fold_norm_affine
@options.require_folded
@options.no_verify
@options.force
@options.as_json
def command(
    model: str,
    target: Path,
    no_fold: bool,
    static: bool,
    no_verify: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Export a PyTorch model to ONNX and fold its norms.

    MODEL is FILE.py:factory, package.module:factory, timm:NAME[,num_classes=10,...], whose Python
    runs as code, or a Hugging Face folder of config.json and safetensors. Nothing is written unless
    the graph agrees with PyTorch and the folded graph with that.
    """
    from un_deploy.cli import progress, show
    from un_deploy.pipeline.export.export import export

    with progress.working(f"Exporting {model}"):
        report = export(
            model, target, fold=not no_fold, verify=not no_verify, dynamic=not static, **settings
        )
    if as_json:
        options.print_json(report)
        return
    show.told(report.told())
