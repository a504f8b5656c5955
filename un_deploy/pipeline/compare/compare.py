"""From files, or from one model spec, to the comparison of LN, UN unfolded, folded and no norm.

Variants that are not given are derived: UN folded by folding, no norm by taking the norms out.
What is compared is proven or checked first: the folded graph equals the unfolded one, an export
equals PyTorch, and no norm, which computes something else, at least stays finite.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from un_deploy.arguments.check import at_least, checked
from un_deploy.arguments.names import argument
from un_deploy.engines.flavor import Flavor, choose_flavor, library
from un_deploy.engines.plan.header import is_plan
from un_deploy.errors import InputError, UnifiedCheckpointError
from un_deploy.graph.model.input_specs import Arrays, Feeds, sizes_given
from un_deploy.graph.precision.convert import Precision
from un_deploy.measure.own_process import in_process_of_its_own
from un_deploy.measure.speed.accuracy import accuracies
from un_deploy.measure.speed.compare import compare_variants
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.conditions import run_and_see
from un_deploy.measure.speed.engine_facts import EngineFacts
from un_deploy.measure.speed.environment import run_and_check_quota
from un_deploy.measure.speed.layers.profile_variants import profile_variants
from un_deploy.measure.speed.layers.variant_layers import VariantLayers
from un_deploy.measure.speed.variant import Kind, Variant
from un_deploy.measure.speed.variant_engines import engine_facts
from un_deploy.pipeline.compare.given_plans import (
    GivenPlan,
    able_to_run,
    backend_of,
    notes_on,
    precision_of,
    tf32_of,
)
from un_deploy.pipeline.compare.together import (
    BATCH,
    OF_A_SPEC,
    check_together,
    of_another_norm,
    refuse_batch_twice,
)
from un_deploy.pipeline.compare.variants import Network
from un_deploy.pipeline.export.forward import Axes
from un_deploy.pipeline.export.norm_names import Norm
from un_deploy.pipeline.export.torch_to_onnx import Exporter
from un_deploy.runtime.backends import BACKENDS, choose_backend, require_layers, runtime_of
from un_deploy.runtime.check_settings import (
    check_environment,
    check_settings,
    threads_in_effect,
)
from un_deploy.runtime.choose_engine import choose_engine_backend, runtime_title
from un_deploy.runtime.protocol import DescribesItself
from un_deploy.runtime.settings import ENGINE, RunSettings, engine_precision

PathLike = str | os.PathLike[str]


@checked
def compare(
    model: str | None = None,
    *,
    norms: Collection[Norm] | None = None,
    checkpoints: Mapping[Norm, PathLike] | None = None,
    files: Mapping[Kind, PathLike] | None = None,
    backend: str = "auto",
    builds: int = 5,
    rounds: int = 20,
    sample_s: float = 0.02,
    threads: int | None = None,
    device: str | None = None,
    inputs: str | Arrays | None = None,
    dynamic: bool = True,
    dynamic_axes: Axes | None = None,
    exporter: Exporter = "dynamo",
    dims: Mapping[str, int] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batches: Sequence[int] = (),
    precision: Precision | None = None,
    tf32: bool | None = None,
    engines: bool = False,
    flavor: Flavor | Literal["auto"] = "auto",
    profile: bool = False,
    seed: int = 0,
    keep: Collection[str] = (),
    logs: PathLike | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> CompareReport:
    """Time a network with LN, UN unfolded, UN folded and no norm against each other.

    Args:
        model: a spec (``FILE.py:factory``, ``package.module:factory``,
            ``timm:NAME[,num_classes=10,...]``; its Python runs as code; or a Hugging Face folder)
            that is exported once for each of `norms`; None: `files`.
        norms: of a spec; None: LN and UN. "un" gives the unfolded graph; UN folded and no norm are
            derived. "rms", "bn", "dyt" and "derf" stand beside these four, as exported and with
            what folds of them folded.
        checkpoints: of a spec, by norm; without one the weights are random, which changes no time.
        files: ONNX files, or plans with their manifests, by what they are: "ln", "unfolded",
            "folded", "none". Plans run in their flavour of TensorRT or in trtexec, and engines of
            ONNX files beside them are built there.
        backend: what runs them; "auto": that of the plans, else the first that is installed;
            "engine": trtexec, else TensorRT, else TensorRT-RTX.
        builds, rounds, sample_s: see `un_deploy.measure.speed.compare`.
        threads, device: see `un_deploy.runtime.settings`; None: the backend's own choice, "cpu".
            What a backend would ignore is refused.
        inputs: data.npz, loader.py:function (runs as code), or arrays by input name; a spec is
            exported with them too. None: random, and for the export the model's own.
        dynamic, dynamic_axes, exporter: of a spec: which dimensions its export leaves open, and
            which exporter writes it; see `un_deploy.export`.
        dims: sizes of dynamic dimensions by name, for random inputs.
        shapes: the same as whole shapes, by input.
        batches: batch sizes, in place of the dimension "batch" in `dims`: the report is that of
            the first, the others are its sweep.
        precision: of engines, of backends that build some and of those below; None: fp32. Plans
            have theirs, and another than that is refused.
        tf32: whether products of fp32 may be computed in TF32 where a GPU computes, and in engines;
            None: they may. Plans are what they were built to be here too.
        engines: also build TensorRT engines, and tell what they would run.
        profile: afterwards, also time each layer of each variant, at the first batch size.
        keep: norms that the fold leaves alone.
        logs: a folder for trtexec's own logs and JSON files, by build and variant, and with
            several batch sizes by these; of one more run of each, after its times. Of a run that
            fails its log, be it in "accuracy", which is looked at before any build.

    Raises:
        InputError: a setting would be ignored; a model or the inputs cannot be read or do not fit,
            fewer than two variants are to be had, a variant does not run, an output is not finite;
            plans are not alike, or the backend does not run them; or it cannot tell of the layers
            that `profile` asks for.
        VerificationError: the folded graph is not equal to the unfolded one, or an export not to
            PyTorch.
        MissingPackageError: the backend is not installed.
    """
    at_least(1, builds=builds, threads=threads)
    at_least(2, rounds=rounds)
    at_least(0, seed=seed)
    if not 0 < sample_s < math.inf:
        raise InputError(f"{argument('sample_s')} must be above 0 s and finite, not {sample_s}")
    if (model is None) == (not files):
        raise InputError("a comparison takes a model spec or files, one of the two")
    check_together(
        norms=norms,
        checkpoints=checkpoints or (),
        files=files or (),
        dynamic=dynamic,
        dynamic_axes=dynamic_axes,
        exporter=exporter,
        engines=engines,
        flavor=flavor,
        keep=keep,
        inputs=inputs,
        dims=dims,
        shapes=shapes,
        batches=batches,
    )
    kept = None if logs is None else Path(logs)
    paths = {kind: Path(path) for kind, path in (files or {}).items()}
    plans = {kind: GivenPlan.read(path) for kind, path in paths.items() if is_plan(path)}
    graphs = [kind for kind in paths if kind not in plans]
    norms = OF_A_SPEC if norms is None else norms
    if engines and plans and not graphs:
        raise InputError(
            f"a plan is an engine already: {argument('engines', True)} builds some of ONNX files"
        )
    if profile and plans:
        raise InputError(
            f"plans do not tell ONNX operators to compare by, as {argument('profile', True)} does: "
            "use un-deploy profile"
        )
    passed_over: tuple[str, ...] = ()
    if backend == ENGINE:
        chosen = choose_engine_backend(able_to_run(plans) if plans else ())
        backend, passed_over = chosen.name, chosen.passed_over
    backend = backend_of(plans, backend) if plans else choose_backend(backend)
    # Both are also of the engines of --engines, on any backend.
    own = {} if engines or plans else {"precision": precision, "tf32": tf32}
    check_settings(backend, threads=threads, device=device, **own)
    if profile:
        require_layers(backend)
    if engines:
        library(choose_flavor(flavor))  # refused before anything is read
    asked = engine_precision(precision)
    settings = RunSettings(
        backend=backend,
        threads=threads_in_effect(backend, threads, device),
        device=device or "cpu",
        precision=precision_of(plans, precision, others=graphs) if plans else asked,
        tf32=tf32_of(plans, tf32, others=graphs) if plans else tf32 is not False,
    )
    check_environment(settings)
    how: dict[str, Any] = {
        "dynamic": dynamic,
        "dynamic_axes": dynamic_axes,
        "exporter": exporter,
    }
    timing: dict[str, Any] = {"builds": builds, "rounds": rounds, "sample_s": sample_s}
    keepers = [one.name for one in BACKENDS.values() if one.keeps_logs]
    if logs is not None and backend not in keepers:
        raise InputError(
            f"{argument('logs')}: {' or '.join(keepers)} alone has logs to keep, and "
            f"{backend} was to run"
        )
    with TemporaryDirectory(prefix="un-deploy-") as made:
        network = Network(Path(made), settings)
        network.notes += passed_over
        # Before what takes long; of plans, whose faults are seen at once, behind those.
        runs_in = "" if plans else _described(network)
        if model is not None:
            for norm in norms:
                progress(f"Exporting {model} with {norm}")
                weights = (checkpoints or {}).get(norm)
                try:
                    network.export(model, norm, checkpoint=weights, inputs=inputs, **how)
                except UnifiedCheckpointError as error:
                    raise of_another_norm(norm, checkpoints or {}) from error
        for kind, path in paths.items():
            if kind in plans:
                network.take(kind, plans[kind])
            else:
                network.read(kind, path)
        if plans:
            network.notes += notes_on(plans, others=graphs)
        network.derive(keep, inputs, seed)
        if batches and inputs is None and BATCH not in network.open_sizes:
            have = ", ".join(network.open_sizes) or "none"
            raise InputError(
                f"{argument('batches')} is of a dynamic dimension {BATCH}; the inputs have {have}"
            )
        sizes = _sizes(sizes_given(network.inputs, dims, shapes), batches)
        feeds = [network.feeds(inputs, one, seed) for one in sizes]
        network.forget_weights()
        runs_in = runs_in or _described(network)
        facts: tuple[EngineFacts, ...] = ()
        if engines:  # first, since what does not build must not cost the times
            built = [variant for variant in network.variants if variant.plan_bytes is None]
            gained = network.gained_biases if _folded_and_derived_none(built) else ()
            progress(f"Building {len(built)} engines")
            facts = in_process_of_its_own(
                engine_facts,
                built,
                feeds[0],
                flavor=choose_flavor(flavor),
                precision=asked,
                tf32=settings.tf32,
                gained_biases=gained,
                folder=network.folder,
                doing="built the engines",
            )
            if network.gained_biases and {"folded", "none"} <= {one.kind for one in built}:
                network.notes.append(_gained(network.gained_biases, biased=bool(gained)))
        points = [
            _point(network, given, {**timing, "logs": _logs(kept, one, batches)}, progress)
            for given, one in zip(feeds, sizes, strict=True)
        ]
        layers: tuple[VariantLayers, ...] = ()
        if profile:
            try:
                layers = profile_variants(
                    network.variants, points[0].timed, feeds[0], settings, progress=progress
                )
            except InputError as error:  # the times are good without it
                note = f"the layers are not told: {error}"
                points[0] = replace(points[0], notes=(*points[0].notes, note))
    return replace(
        points[0],
        engines=facts,
        layers=layers,
        sweep=tuple(points[1:]),
        runtime=runs_in,
        staying=network.staying,
    )


def _described(network: Network) -> str:
    """What runs the network, as the first line calls it; how it times is a note."""
    if isinstance(runtime := runtime_of(network.settings), DescribesItself):
        network.notes.append(f"timed by {runtime.describe()}")
    return runtime_title(network.settings)


def _folded_and_derived_none(variants: Sequence[Variant]) -> bool:
    """Whether UN folded is there, and a no norm in which the outputs of the fold are known."""
    return any(one.kind == "folded" for one in variants) and any(
        one.kind == "none" and one.derived for one in variants
    )


def _gained(outputs: Sequence[str], *, biased: bool) -> str:
    compared = "with biases there" if biased else "as it was given, whatever biases it has there"
    return (
        f"the fold gave {len(outputs)} linear operators a bias ({', '.join(outputs)}): the kernels "
        f"of UN folded are compared with those of no norm {compared}"
    )


def _point(
    network: Network, feeds: Feeds, timing: Mapping[str, Any], progress: Callable[[str], None]
) -> CompareReport:
    """The report at one batch size: accuracy first, then times."""
    settings = network.settings
    progress(f"Checking what {settings.backend} computes")
    logs = timing["logs"]
    began = datetime.now(timezone.utc).isoformat(timespec="seconds")
    accuracy = in_process_of_its_own(
        accuracies,
        network.variants,
        feeds,
        settings,
        logs=None if logs is None else logs / "accuracy",
        folder=network.folder,
        doing=f"checked what {settings.backend} computes",
    )
    (report, conditions), stood = run_and_check_quota(
        lambda: run_and_see(
            lambda: compare_variants(
                network.variants,
                feeds,
                settings,
                **timing,
                missing=network.missing,
                notes=network.notes,
                progress=progress,
            )
        )
    )
    notes = (*report.notes, stood) if stood else report.notes
    return replace(report, accuracy=accuracy, notes=notes, date=began, conditions=conditions)


def _logs(
    folder: Path | None, sizes: Mapping[str, int] | None, batches: Sequence[int]
) -> Path | None:
    if folder is None or not batches or sizes is None:
        return folder
    return folder / f"{BATCH}_{sizes[BATCH]}"


def _sizes(
    dims: Mapping[str, int] | None, batches: Sequence[int]
) -> list[Mapping[str, int] | None]:
    if not batches:
        return [dims]
    refuse_batch_twice(dims, batches)  # a whole shape may name it too
    return [{**(dims or {}), BATCH: size} for size in batches]
