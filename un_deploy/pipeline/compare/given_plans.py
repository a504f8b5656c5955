"""TensorRT plans as variants of a comparison: which can be compared, and which backend runs them.

A plan is what it was built to be. Nothing is derived from it, and what was folded into it cannot be
proven; so plans that differ in what would count as a gain of a norm are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from un_deploy.arguments.names import argument
from un_deploy.engines.flavor import TITLES as FLAVORS
from un_deploy.engines.plan.manifest import Manifest, PlanTensor, input_spec, load_plan, open_sizes
from un_deploy.engines.profiles import profile_holding
from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import Feeds, check_feeds
from un_deploy.graph.precision.convert import Precision
from un_deploy.measure.speed.variant import TITLES, Kind
from un_deploy.runtime.backends import BACKENDS
from un_deploy.runtime.settings import engine_precision


@dataclass(frozen=True)
class GivenPlan:
    """A plan that was given as a variant.

    Attributes:
        path: of the plan, which has its manifest beside it.
        graph: with its inputs and outputs, and nothing in between.
    """

    path: Path
    manifest: Manifest
    graph: ir.Model

    @classmethod
    def read(cls, path: Path) -> GivenPlan:
        """Read a plan and its manifest.

        Raises:
            InputError: see `un_deploy.engines.plan.manifest.load_plan`.
        """
        _, manifest = load_plan(path)
        return cls(path, manifest, graph_of(manifest))

    def check_sizes(self, feeds: Feeds) -> None:
        """Hold the shapes of inputs against its profiles.

        Raises:
            InputError: an input does not fit, or no profile takes them together.
        """
        shapes = {name: array.shape for name, array in feeds.items()}
        try:
            check_feeds([input_spec(tensor) for tensor in self.manifest.inputs], feeds)
            profile_holding(self.manifest.profiles, shapes)
        except InputError as error:
            raise InputError(f"{self.path} cannot be run: {error}") from error


def able_to_run(plans: Mapping[Kind, GivenPlan]) -> list[str]:
    """The backends that run plans; the flavour of TensorRT that built them comes first.

    Raises:
        InputError: the plans are of several flavours.
    """
    _alike(plans, "flavour", lambda manifest: manifest.flavor)
    flavor = next(iter(plans.values())).manifest.flavor
    able = [one.name for one in BACKENDS.values() if flavor in one.takes_plans]
    return sorted(able, key=lambda name: name != flavor)


def backend_of(plans: Mapping[Kind, GivenPlan], backend: str) -> str:
    """What runs plans: for "auto" the flavour of TensorRT that built them.

    Raises:
        InputError: the plans are of several flavours, or the backend does not run theirs.
    """
    able = able_to_run(plans)
    if backend == "auto":
        return able[0]
    if backend not in able:
        first = next(iter(plans.values()))
        raise InputError(
            f"{first.path} is a plan of {FLAVORS[first.manifest.flavor]}: it runs on the backend "
            f"{' or '.join(able)}, not on {backend}"
        )
    return backend


def precision_of(
    plans: Mapping[Kind, GivenPlan], asked: Precision | None, *, others: Sequence[Kind]
) -> Precision | None:
    """The precision of all variants; None: that of the plans' graphs, which nobody tells.

    Args:
        asked: for engines of ONNX files; None: fp32.
        others: variants that are ONNX files.

    Raises:
        InputError: plans differ in their version of TensorRT or in precision, or engines of the
            ONNX files would; or another precision was asked for than plans alone have.
    """
    _alike(plans, "TensorRT", lambda manifest: manifest.tensorrt)
    _alike(plans, "precision", lambda manifest: manifest.precision or "that of its graph")
    first = next(iter(plans.values()))
    found: Precision | None = None
    for known in ("fp32", "fp16", "bf16"):
        if first.manifest.precision == known:
            found = known
    if others and found is None:
        raise InputError(
            f"{first.path} does not say its precision, so the engine of {TITLES[others[0]]} cannot "
            f"be built alike: build the plan with {argument('precision')}, or give plans alone"
        )
    if others and found != (engines := engine_precision(asked)):
        raise InputError(
            f"{first.path} is in {found}, the engine of {TITLES[others[0]]} would be in {engines}: "
            f"their ratio would compare precisions; give "
            f"{argument('precision', found)}"
        )
    if asked not in (None, found):
        raise InputError(
            f"{first.path} is in {found or 'the precision of its graph'}, not in {asked}: a plan "
            f"is what it was built to be; build it again with {argument('precision', asked)}"
        )
    return found


def tf32_of(plans: Mapping[Kind, GivenPlan], asked: bool | None, *, others: Sequence[Kind]) -> bool:
    """Whether products of fp32 may be computed in TF32, in all variants alike.

    Args:
        asked: for engines of ONNX files; None: they may.
        others: variants that are ONNX files.

    Raises:
        InputError: plans differ in it, or engines of the ONNX files would; or another was asked for
            than plans alone have.
    """
    _alike(plans, "TF32", lambda manifest: "allowed" if manifest.tf32 else "not allowed")
    first = next(iter(plans.values()))
    if others and asked is None:
        asked = True
    check_tf32(first.path, first.manifest, asked)
    return first.manifest.tf32


def check_tf32(plan: Path, manifest: Manifest, asked: bool | None) -> None:
    """Refuse another TF32 than that of a plan; None: none was asked for.

    Raises:
        InputError: it is another.
    """
    if asked not in (None, manifest.tf32):
        has, other = (argument("tf32", one) for one in (manifest.tf32, asked))
        raise InputError(
            f"{plan} was built with {has}, not {other}: a plan is what it was built to be; give "
            f"{has}, or build it again"
        )


def notes_on(plans: Mapping[Kind, GivenPlan], *, others: Sequence[Kind]) -> Iterator[str]:
    """What the reader must know of plans."""
    for kind, plan in plans.items():
        made = plan.manifest
        seen = "its outputs are only seen to be finite"
        if kind == "folded":
            seen = "what was folded into it cannot be proven"
        elif kind == "unfolded" and "folded" in others:
            seen = "its outputs are held against the graph of UN folded"
        yield (
            f"{TITLES[kind]} is a plan built of {made.source} in "
            f"{made.precision or 'the precision of that graph'} by {made.flavor} {made.tensorrt}: "
            f"{seen}"
        )
        if made.lifted_opset is not None:
            yield f"of the plan of {TITLES[kind]}: {made.lifted_opset}"
    (kind, first), *rest = plans.items()
    for what in ("profiles", "options", "compute_capabilities"):
        for other, plan in rest:
            if getattr(plan.manifest, what) != getattr(first.manifest, what):
                yield (
                    f"the plans of {TITLES[kind]} and {TITLES[other]} were built with other "
                    f"{what.replace('_', ' ')}: their ratio holds that difference too"
                )
    if others:
        built = ", ".join(TITLES[kind] for kind in others)
        yield (
            f"the engines of {built} are built here for these sizes alone, the plans were built "
            "for their profiles and with their options: ratios of the two hold that difference too"
        )


def _alike(plans: Mapping[Kind, GivenPlan], what: str, of: Callable[[Manifest], str]) -> None:
    (_, first), *rest = plans.items()
    for _, plan in rest:
        if of(plan.manifest) != of(first.manifest):
            raise InputError(
                f"{first.path} and {plan.path} differ in {what}, {of(first.manifest)} and "
                f"{of(plan.manifest)}: their ratio would not compare norms alone; build them alike"
            )


def graph_of(manifest: Manifest) -> ir.Model:
    """A graph with a plan's inputs and outputs and nothing else: inputs are made for that."""
    ends = (tuple(map(_value, tensors)) for tensors in (manifest.inputs, manifest.outputs))
    graph = ir.Graph(*ends, nodes=[], name="plan", opset_imports={"": 17})
    return ir.Model(graph, ir_version=8)


def usual_sizes(manifest: Manifest, model: ir.Model) -> dict[str, int]:
    """The sizes for which the first profile is tuned, by the names of the dimensions."""
    if not manifest.profiles:
        return {}
    sizes = {}
    for value in model.graph.inputs:
        shapes = manifest.profiles[0].get(value.name or "")
        for dim, size in zip(value.shape or (), shapes.opt if shapes else (), strict=False):
            if isinstance(dim, ir.SymbolicDim) and dim.value is not None:
                sizes[dim.value] = size
    return sizes


def _value(tensor: PlanTensor) -> ir.Value:
    dims = [
        f"{tensor.name}:{axis}" if dim is None else dim
        for axis, dim in enumerate(open_sizes(tensor) or ())
    ]
    return ir.Value(
        name=tensor.name,
        type=ir.TensorType(ir.DataType[tensor.dtype.upper()]),
        shape=ir.Shape(dims),
    )
