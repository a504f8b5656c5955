"""From an ONNX file to a TensorRT plan and its manifest: prepare, check, build, check, write."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import onnx_ir as ir

from un_deploy.arguments.check import checked
from un_deploy.arguments.names import argument
from un_deploy.engines.building.config import as_trtexec_flags
from un_deploy.engines.building.from_graph import check_kept, engine_of, prepare
from un_deploy.engines.building.io_formats import one_format_per_tensor
from un_deploy.engines.building.options import BuildOptions, IoFormat
from un_deploy.engines.building.progress import Progress
from un_deploy.engines.flavor import Flavor, choose_flavor, library
from un_deploy.engines.graphsurgeon import extract_region, mark_outputs
from un_deploy.engines.kernels.check_types import TypeReport
from un_deploy.engines.kernels.kernels import bytes_written
from un_deploy.engines.plan.manifest import Manifest, PlanTensor, file_sha256, manifest_path, sha256
from un_deploy.engines.profiles import Profile, profile_of_sizes
from un_deploy.errors import InputError, TargetError, one_line
from un_deploy.files import check_target, staged
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.model.input_specs import input_specs
from un_deploy.graph.model.model_kinds import name_of, operated, to_ir
from un_deploy.graph.precision.convert import Precision, PrecisionReport
from un_deploy.graph.precision.names import in_words
from un_deploy.json_form import JsonForm
from un_deploy.printed import Part, Printed, Words
from un_deploy.version import __version__

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs


@dataclass(frozen=True)
class Surgery:
    """What is done to the graph before all else, by names of its tensors.

    Attributes:
        region_inputs, region_outputs: build only what lies between these; empty: the graph's own.
        outputs: tensors to return as well.
    """

    region_inputs: tuple[str, ...] = ()
    region_outputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuildReport(JsonForm, Printed):
    """A plan that was written.

    Attributes:
        target: the plan; its manifest is beside it.
        manifest: what the plan is.
        precision: what the conversion of the graph did; None where none was asked for.
        types: in which types the engine computes; None where no precision was asked for.
        kernels: how many an inference runs; 0 where TensorRT does not tell, see warnings.
        bytes_written: that they write in one inference; None where sizes are open.
        warnings: of TensorRT.
    """

    target: str
    manifest: Manifest
    precision: PrecisionReport | None
    types: TypeReport | None
    kernels: int
    bytes_written: int | None
    warnings: tuple[str, ...]
    seconds: float
    version: int = 1

    def told(self) -> Iterator[Part]:
        """What was built, and what its kernels are."""
        manifest = self.manifest
        types = in_words(manifest.precision or "the types of the graph", manifest.tf32)
        yield (
            f"{manifest.flavor} {manifest.tensorrt}, {types}; {manifest.bytes:,} bytes, "
            f"{self.seconds:.1f} s"
        )
        if manifest.lifted_opset is not None:
            yield f"{manifest.lifted_opset}."
        if self.precision is not None:
            constants, kept = len(self.precision.converted), len(self.precision.kept)
            yield f"{constants} constants converted; {kept} operators stay in fp32."
            zeros = [(one.name, one.flushed) for one in self.precision.converted if one.flushed]
            if zeros:
                names = ", ".join(f"{count} of {name}" for name, count in zeros)
                yield f"Entries that became 0, each below its neighbours' rounding: {names}"
        if self.types is not None:
            yield from self.types.parts()
        written = "" if self.bytes_written is None else f", {self.bytes_written:,} bytes written"
        memory = ", ".join(f"{size:,} bytes of {what}" for what, size in manifest.memory.items())
        yield f"{self.kernels} kernels{written}; on the device {memory or 'unknown'}."
        for warning in self.warnings:
            yield Words(f"TensorRT warns: {one_line(warning)}", "muted")
        if manifest.precision is not None:
            yield (
                f"How far answers in {manifest.precision} are from fp32's was not measured: that "
                f"takes a GPU, and compare with {argument('precision', manifest.precision)}."
            )
        if manifest.flavor == "tensorrt-rtx":
            named = ", ".join(manifest.compute_capabilities)
            # https://docs.nvidia.com/deeplearning/tensorrt-rtx/latest/inference-library/cpu-engines.html
            turing = argument("compute_capabilities", "75")
            usual = (
                "compute capability 8.0 (Ampere) and later, by NVIDIA's documentation; for 7.5 "
                f"(Turing), which multiplies in fp16 alone, {turing}"
            )
            gpus = f"compute capability {named} alone" if named else usual
            yield (
                f"A plan of TensorRT-RTX, for {gpus}. un-deploy doctor lists all that it builds "
                "for. Triton does not load it, and serves the ONNX file."
            )
        yield f"Wrote {self.target} and {manifest_path(Path(self.target))}."


@checked
def build(
    model: Any,
    target: str | os.PathLike[str],
    *,
    flavor: Flavor | Literal["auto"] = "auto",
    precision: Precision | None = None,
    keep_fp32: Collection[str] = (),
    require_types: bool = False,
    profiles: Sequence[Profile] = (),
    dims: Mapping[str, int] | None = None,
    options: BuildOptions | None = None,
    surgery: Surgery | None = None,
    force: bool = False,
    progress: Progress = lambda phase, done, steps: None,
) -> BuildReport:
    """Build a TensorRT plan; nothing is written unless its precision is the one asked for.

    Args:
        model: a path, an onnx.ModelProto, an onnx_ir.Model or an onnx_graphsurgeon.Graph, folded
            before; it is not changed.
        target: the plan to write; the manifest goes beside it.
        flavor: of TensorRT; "auto": the one that is installed.
        precision: decided in the graph, with inputs and outputs left in fp32 unless a format
            says otherwise; None: the graph's own types.
        keep_fp32: nodes, tensors or operator types that stay in fp32.
        require_types: refuse an engine, too, of which some product's type is not told.
        profiles: shapes for what is dynamic.
        dims: instead, sizes of dynamic dimensions by name: the only ones that the engine takes.
        surgery: on the graph, first of all.

    Raises:
        MissingPackageError: the flavour is not installed.
        InputError: the graph, a name, a profile or an option is refused; a weight does not fit the
            precision; the build fails; or the engine computes in another type.
        TargetError: the target exists or cannot be written, or is the model.
    """
    target, options, kind = Path(target), options or BuildOptions(), choose_flavor(flavor)
    options.check()
    check_kept(keep_fp32, precision)
    if require_types and precision is None:
        raise InputError(
            f"{argument('require_types')} is of a precision: give {argument('precision')} with it"
        )
    if dims and profiles:
        raise InputError(
            f"{argument('dims')} gives the only sizes, and {argument('profiles')} others: leave one"
        )
    check_target(target, force=force)
    check_target(manifest_path(target), force=force)
    if _is_path(model) and target.exists() and Path(model).exists() and target.samefile(model):
        raise TargetError(f"{target} is the model itself: choose another name for the plan")
    if dims:
        profiles = (profile_of_sizes(dims, input_specs(_read(model, surgery))),)
    engine = engine_of(  # which lets go of the graph; a name here would keep its weights in memory
        prepare(_read(model, surgery), precision, keep_fp32=keep_fp32, options=options),
        origin=_name(model),
        flavor=kind,
        profiles=profiles,
        options=options,
        require_types=require_types,
        progress=progress,
    )
    built, prepared, report = engine.built, engine.graph.model.graph, engine.graph.precision
    manifest = Manifest(
        sha256=sha256(built.plan),
        bytes=len(built.plan),
        flavor=kind,
        tensorrt=library(kind).__version__,
        precision=precision,
        inputs=_tensors(prepared.inputs, options.input_formats, "input_formats"),
        outputs=_tensors(prepared.outputs, options.output_formats, "output_formats"),
        profiles=tuple(_with_values_told(one, built.shape_inputs) for one in profiles),
        options=tuple(as_trtexec_flags(options)),
        compute_capabilities=options.compute_capabilities,
        memory=built.memory,
        source=_name(model),
        source_sha256=file_sha256(Path(model)) if _is_path(model) else "",
        un_deploy=__version__,
        tf32=options.tf32,
        lifted_opset=None if report is None else report.lifted,
    )
    with staged(target, manifest_path(target), force=force) as (plan, beside):
        plan.write_bytes(built.plan)
        beside.write_text(manifest.to_json(), encoding="utf-8")
    return BuildReport(
        target=str(target),
        manifest=manifest,
        precision=report,
        types=engine.types,
        kernels=len(built.kernels),
        bytes_written=bytes_written(built.kernels),
        warnings=built.warnings,
        seconds=built.seconds,
    )


def _read(model: Any, surgery: Surgery | None) -> ir.Model:
    """What the user holds, its weights checked, after the surgery."""
    original, _ = to_ir(model)
    check_weights(original)
    return original if surgery in (None, Surgery()) else operated(original, partial(_cut, surgery))


def _cut(surgery: Surgery, graph: gs.Graph) -> None:
    if surgery.region_inputs or surgery.region_outputs:
        extract_region(graph, surgery.region_inputs, surgery.region_outputs)
    mark_outputs(graph, surgery.outputs)


def _tensors(
    values: Sequence[ir.Value], formats: Sequence[IoFormat], option: str
) -> tuple[PlanTensor, ...]:
    values = [value for value in values if not value.is_initializer()]
    usual = [IoFormat("", ("chw",))] * len(values)
    wanted = one_format_per_tensor(formats, len(values), option) or usual
    return tuple(
        PlanTensor(
            name=value.name or "",
            dtype="" if value.dtype is None else value.dtype.name.lower(),
            shape=_shape(value.shape),
            format="+".join(one.formats),
        )
        for value, one in zip(values, wanted, strict=True)
    )


def _with_values_told(profile: Profile, shape_inputs: Collection[str]) -> Profile:
    return {name: replace(one, of_values=name in shape_inputs) for name, one in profile.items()}


def _shape(shape: ir.Shape | None) -> tuple[int | str | None, ...] | None:
    if shape is None:
        return None
    return tuple(dim if isinstance(dim, int) else dim.value for dim in shape)


def _name(model: Any) -> str:
    """What the user knows the model by."""
    return Path(model).name if _is_path(model) else name_of(model)


def _is_path(model: Any) -> bool:
    return isinstance(model, str | os.PathLike)
