"""un-deploy compare: how fast is a network with LN, UN, and without norms?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from un_deploy.cli import gates, options
from un_deploy.cli.command import Command
from un_deploy.cli.overwriting import Writes
from un_deploy.files import check_directory_target
from un_deploy.pipeline.export.norm_names import NORMS

if TYPE_CHECKING:
    from un_deploy.pipeline.export.norm_names import Norm


def _norms(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    norms = tuple(part.strip() for part in value.split(","))
    if not set(norms) <= set(NORMS) or len(set(norms)) < len(norms):
        raise click.BadParameter(f"{value!r} is no list of {', '.join(NORMS)}, each once")
    return norms


def _batches(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...]:
    parts = [part.strip() for part in value.split(",")] if value else []
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} is no list of sizes such as 1,8,32")
    sizes = tuple(map(int, parts))
    if len(set(sizes)) < len(sizes):
        raise click.BadParameter(f"{value!r} names a size twice")
    return sizes


def _check_logs(logs: Path, values: dict[str, Any]) -> None:
    check_directory_target(logs, force=values["force"])


def _check_replaced(logs: Path) -> None:
    """Refuse to replace a folder that holds something else than logs, even with --force."""
    import re

    from un_deploy.errors import TargetError

    for path in sorted(logs.iterdir()) if logs.is_dir() else ():
        if not re.fullmatch(r"(build|batch)_\d+|accuracy", path.name):
            raise TargetError(
                f"{logs} holds {path.name}, which is no log of a comparison and would be lost: "
                "name another folder, or take it out"
            )


@contextmanager
def _kept(logs: Path | None, force: bool) -> Iterator[Path | None]:
    """A folder for logs, which is kept, too, where a comparison fails and has left some."""
    from un_deploy.errors import InputError
    from un_deploy.files import staged_directory

    if logs is None:
        yield None
        return
    failed: InputError | None = None
    with staged_directory(logs, force=force) as folder:
        try:
            yield folder
        except InputError as error:
            if not any(folder.iterdir()):
                raise
            failed = error
    if failed is not None:
        raise InputError(f"{failed} (its log is in {logs})") from failed


@click.command(
    cls=Command,
    example="un-deploy compare --ln ln.onnx --unfolded un.onnx --dim batch=8 -o report.json\n"
    "un-deploy compare net.py:make --checkpoint un.pt --html report.html",
    groups={
        "What is compared": "ln unfolded folded none norms ln_checkpoint checkpoint keep",
        "The export of MODEL": "exporter static dynamic_axes",
        "What runs it": "backend device threads tf32 precision",
        "Inputs": "shapes dims batches inputs seed",
        "How much is timed": "builds rounds sample_ms",
        "Also looked at": "engines flavor profile",
        "Exit with 3": "min_speedup max_error against",
        "Output": "target html_target keep_logs force as_json json_samples",
    },
)
@click.argument("model", metavar="[MODEL]", required=False, type=options.PYTHON)
@options.reads(
    "--ln", type=options.MODEL_FILE, help="The network with LN: an ONNX file, or a TensorRT plan."
)
@options.reads(
    "--unfolded", type=options.MODEL_FILE, help="The network with UN, not folded: likewise."
)
@options.reads("--folded", type=options.MODEL_FILE, help="The network with UN, folded: likewise.")
@options.reads("--none", type=options.MODEL_FILE, help="The network without norms: likewise.")
@click.option(
    "--norms",
    callback=_norms,
    help=f"With MODEL: the norms to export it with, out of {', '.join(NORMS)}. What is left of the "
    "four variants is derived.  [default: ln,un]",
)
@options.reads(
    "--ln-checkpoint",
    help="With MODEL: the weights of the network with LN, a .pt or .safetensors file.",
)
@options.reads(
    "--checkpoint",
    help="With MODEL: the weights of the network with UN, a .pt or .safetensors file.",
)
@options.backend(
    "What runs the variants; auto: ONNX Runtime on the CPU, else torch; for plans, the TensorRT "
    "that built them."
)
@options.device
@options.threads
@options.tf32
@click.option(
    "--builds",
    type=click.IntRange(min=1),
    default=5,
    help="Number of builds: fresh processes, each of which times all variants. The interval of "
    "a ratio is over builds; a single one says only how that one ran.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=2),
    default=20,
    help="Rounds in each build; in a round every variant is timed once.",
)
@click.option(
    "--sample-ms",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    help="The least that one sample takes, in milliseconds; short runs are repeated to fill it.",
)
@options.input_shapes
@options.dims
@click.option(
    "--batches",
    callback=_batches,
    metavar="N,N,...",
    help="Compare at several batch sizes. The report is that of the first, with the ratios of the "
    "others.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "bf16"]),
    help="Precision of the engines of --engines, and of those that the backend builds.  "
    "[default: fp32]",
)
@click.option(
    "--engines",
    is_flag=True,
    help="Also build a TensorRT engine of each variant and tell which kernels it would run; "
    "none is run.",
)
@click.option(
    "--flavor",
    type=click.Choice(["auto", "tensorrt", "tensorrt-rtx"]),
    default="auto",
    help="Which TensorRT builds the engines of --engines; auto: the one that is installed.",
)
@click.option(
    "--profile",
    is_flag=True,
    help="Afterwards time each layer of each variant, and tell where LN's time goes.",
)
@options.inputs
@options.exporter
@options.static
@options.dynamic
@options.seed
@options.keep
@gates.min_speedup
@gates.max_error
@gates.against
@options.writes(
    "-o",
    "--output",
    "target",
    metavar="OUT",
    help="Write the report, with every sample, to this file as JSON.",
)
@options.writes(
    "--html",
    "html_target",
    metavar="FILE",
    help="Write the report to this file as one HTML page with plots.",
)
@options.writes(
    "--keep-logs",
    type=Writes(folder=True, check=_check_logs),
    metavar="DIR",
    help="With --backend trtexec: keep its logs and its JSON files of times, profile and layers in "
    "this folder, from one more run of every variant in every build.",
)
@options.force
@options.as_json
@options.json_samples
def command(
    model: str | None,
    norms: tuple[Norm, ...] | None,
    ln_checkpoint: Path | None,
    checkpoint: Path | None,
    sample_ms: float,
    dims: tuple[tuple[str, int], ...],
    shapes: tuple[str, ...],
    static: bool,
    min_speedup: float | None,
    max_error: float | None,
    against: Path | None,
    target: Path | None,
    html_target: Path | None,
    keep_logs: Path | None,
    force: bool,
    as_json: bool,
    json_samples: bool,
    **settings: Any,
) -> None:
    """Time a network with LN, UN, UN folded and no norm.

    MODEL is FILE.py:factory, package.module:factory, timm:NAME[,num_classes=10,...], whose Python
    runs as code, or a Hugging Face folder of config.json and safetensors; or give ONNX files, or
    plans with the manifests of un-deploy build (untested on hardware). Variants that are not given
    are derived where they can be, and said to be; nothing is derived from plans.

    All variants run in turn in the same process, round after round, in several processes. Beside
    every ratio stands what the folded network differs from itself by (the A/A control). Before
    that, what each computes is compared with float64. Exit code 3 where --min-speedup,
    --max-error or --against is missed.
    """
    from un_deploy.measure.speed.variant import TITLES
    from un_deploy.pipeline.compare.together import check_together

    files = {kind: path for kind in TITLES if (path := settings.pop(kind, None)) is not None}
    given: dict[Norm, Path | None] = {"ln": ln_checkpoint, "un": checkpoint}
    if (model is None) == (not files):
        raise click.UsageError("give MODEL, or some of --ln, --unfolded, --folded and --none")
    options.refuse_seed_with(settings["inputs"])
    checkpoints = {norm: path for norm, path in given.items() if path is not None}
    what = ("dynamic_axes", "exporter", "engines", "flavor", "keep", "inputs", "batches")
    check_together(
        norms=norms,
        checkpoints=checkpoints,
        files=files,
        dynamic=not static,
        dims=dict(dims),
        shapes=shapes,
        **{name: settings[name] for name in what},
    )
    gates.refuse_unmeasured(min_speedup, norms, files)

    from un_deploy.cli import progress, show, show_comparison
    from un_deploy.files import atomic_write_text, check_target
    from un_deploy.pipeline.compare.compare import compare
    from un_deploy.pipeline.compare.report_file import check_kept, check_page, write_page

    if target is not None:
        check_kept(target)
        check_target(target, force=force)
    if html_target is not None:
        check_page(html_target, force=force)
    old = gates.older(against)
    if keep_logs is not None:
        _check_replaced(keep_logs)
    with _kept(keep_logs, force) as logs, progress.working("Comparing") as say:
        report = compare(
            model,
            norms=norms,
            files=files,
            checkpoints=checkpoints,
            dims=dict(dims),
            shapes=options.parsed_shapes(shapes),
            dynamic=not static,
            sample_s=sample_ms / 1000,
            logs=logs,
            progress=say,
            **settings,
        )
    report = replace(report, command=click.get_current_context().meta.get(options.TYPED, ""))
    if target is not None:
        atomic_write_text(target, report.to_json(), force=force)
    if html_target is not None:
        write_page(report, html_target, force=force)
    if as_json or json_samples:
        options.print_json(report, samples=json_samples)
    else:
        show_comparison.comparison(report)
        for path in filter(None, (target, html_target)):
            show.line(f"Wrote {path}")
    quiet = as_json or json_samples
    gates.judge(report, min_speedup=min_speedup, max_error=max_error, old=old, quiet=quiet)
