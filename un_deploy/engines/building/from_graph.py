"""From a graph to an engine whose types are checked: the only way to one.

A graph is first prepared: brought to its precision, its inputs and outputs to their types, and its
weights to a file, one at a time, so that none is in memory while the engine is built. Then it is
built, for fixed shapes or for profiles, and the kernels of the engine are held against the
precision. Where trtexec builds, it is given the same prepared graph, and its kernels are checked in
the same way.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import onnx
import onnx_ir as ir

from un_deploy.arguments.names import argument
from un_deploy.engines.building.builder import Built, build_engine
from un_deploy.engines.building.io_formats import one_format_per_tensor
from un_deploy.engines.building.options import TYPES, BuildOptions, IoFormat
from un_deploy.engines.building.quantised_graph import as_tensorrt_takes_it
from un_deploy.engines.flavor import Flavor
from un_deploy.engines.graphsurgeon import set_io_types
from un_deploy.engines.kernels.check_types import TypeReport, check_types
from un_deploy.engines.kernels.kernels import Kernel
from un_deploy.engines.profiles import Profile, check_profiles
from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import input_specs
from un_deploy.graph.model.model_kinds import operated
from un_deploy.graph.model.move_weights import move_to_file
from un_deploy.graph.precision.convert import Precision, PrecisionReport, to_precision

if TYPE_CHECKING:
    from un_deploy.engines.building.progress import Progress


@dataclass(frozen=True)
class PreparedGraph:
    """A graph as an engine is built of it: TensorRT gives every tensor the type it has here.

    Attributes:
        model: its weights are in a file in the folder.
        precision: the report of the conversion, where one was asked for.
        folder: goes when no graph is left that needs it.
    """

    model: ir.Model
    precision: PrecisionReport | None
    folder: TemporaryDirectory[str]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader must know of the conversion."""
        lifted = None if self.precision is None else self.precision.lifted
        return () if lifted is None else (str(lifted),)

    def with_shapes(self, shapes: Mapping[str, Sequence[int]]) -> PreparedGraph:
        """A copy with the sizes of these inputs fixed."""
        model = self.model.clone()
        for value in model.graph.inputs:
            if (shape := shapes.get(str(value.name))) is not None:
                value.shape = ir.Shape(shape)
        return replace(self, model=model)

    def saved(self) -> Path:
        """An ONNX file of it beside the weights, until another graph of the folder is saved."""
        path = Path(self.folder.name).resolve() / "model.onnx"
        onnx.save(ir.to_proto(self.model), path)
        gc.collect()  # graphs refer to themselves, and those that this one came from hold weights
        return path

    def check_types(self, kernels: Sequence[Kernel], *, require: bool = False) -> TypeReport | None:
        """Hold all kernels of an engine of this graph against the precision, if one was asked for.

        `require` refuses, too, what the kernels do not tell.

        Raises:
            InputError: see `un_deploy.engines.kernels.check_types.check_types`.
        """
        if self.precision is None:
            return None
        return check_types(kernels, self.model, self.precision, require=require)


@dataclass(frozen=True)
class Engine:
    """An engine that computes in the types that were asked for, and the graph it was built of.

    There is no report of its types where no precision was asked for.
    """

    built: Built
    graph: PreparedGraph
    types: TypeReport | None


def check_kept(keep_fp32: Collection[str], precision: Precision | None) -> None:
    """What stays in fp32 is of a conversion.

    Raises:
        InputError: there is none to another type.
    """
    if keep_fp32 and precision is None:
        raise InputError(
            f"{argument('keep_fp32')} is of a conversion: give {argument('precision')} fp16 or "
            "bf16 with it"
        )


def prepare(
    model: ir.Model,
    precision: Precision | None,
    *,
    keep_fp32: Collection[str] = (),
    options: BuildOptions | None = None,
) -> PreparedGraph:
    """Bring a graph to the types of an engine.

    Args:
        model: is not changed.
        precision: of the engine, with inputs and outputs left in fp32 unless a format says
            otherwise; None: the graph's own types.
        keep_fp32: nodes, tensors or operator types that stay in fp32.
        options: of the builder, of which the formats of inputs and outputs count.

    Raises:
        InputError: a weight does not fit the precision, a name or a format the graph, or TensorRT
            the form in which the graph is quantised.
    """
    report = None
    options = options or BuildOptions()
    check_kept(keep_fp32, precision)
    model = as_tensorrt_takes_it(model, precision)
    if precision is not None:
        model, report = to_precision(model, precision, keep=keep_fp32)
    types = dict(_edge_types(model.graph.inputs, options.input_formats, "input_formats"))
    types |= dict(_edge_types(model.graph.outputs, options.output_formats, "output_formats"))
    if types:
        model = operated(model, lambda graph: set_io_types(graph, types))
    folder = TemporaryDirectory(prefix="un-deploy-", ignore_cleanup_errors=True)
    model = model.clone()
    move_to_file(model, Path(folder.name).resolve() / "weights")
    return PreparedGraph(model, report, folder)


def engine_of(
    graph: PreparedGraph,
    *,
    origin: str,
    flavor: Flavor,
    shapes: Mapping[str, Sequence[int]] | None = None,
    profiles: Sequence[Profile] = (),
    options: BuildOptions | None = None,
    require_types: bool = False,
    progress: Progress = lambda phase, done, steps: None,
) -> Engine:
    """Build an engine, and check in which types it computes.

    Args:
        graph: is not changed.
        origin: what messages call it.
        shapes: sizes that are fixed, by input; the profiles are for what is still dynamic.
        options: those that the graph was prepared with.
        require_types: refuse an engine, too, of which some product's type is not told.

    Raises:
        MissingPackageError: the flavour is not installed.
        InputError: the profiles do not fit the graph, the build fails, or the engine computes in
            another type than was asked for.
    """
    if shapes:
        graph = graph.with_shapes(shapes)
    check_profiles(profiles, input_specs(graph.model))
    built = build_engine(
        graph.saved(),
        origin=origin,
        flavor=flavor,
        options=options,
        profiles=profiles,
        progress=progress,
    )
    return Engine(built, graph, graph.check_types(built.kernels, require=require_types))


def _edge_types(
    values: Sequence[ir.Value], formats: Sequence[IoFormat], option: str
) -> Iterable[tuple[str, int]]:
    values = [value for value in values if not value.is_initializer()]
    for value, wanted in zip(
        values, one_format_per_tensor(formats, len(values), option), strict=False
    ):
        yield value.name or "", ir.DataType[TYPES[wanted.type]].value
