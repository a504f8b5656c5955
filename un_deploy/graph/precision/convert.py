"""Converts a float32 model to fp16 or bf16 for good, since an engine's types are its graph's.

TensorRT 11 has strongly typed networks only: what precision an operator runs in is decided here.
(`un_deploy.runtime.torch_graph.precision` makes a copy that is only run and timed in torch.)

Every float32 tensor becomes the half type but what `what_stays_fp32` keeps, with Casts between the
two, and but the graph's inputs and outputs unless that is asked for. Rounding is to nearest even.
Nothing is clamped: a constant that would overflow, or become zero where that may matter, is an
error that names it. What inputs and activations overflow to, only a run can tell.

Integers, booleans and float64 stay as they are. A graph that computes in the half type already
was given its precision by its author, and stays as it is; one that computes in another is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeVar

import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.operator_types import element, opset_for
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.graph.precision.bodies import all_types, every_node
from un_deploy.graph.precision.insert_casts import Retyper
from un_deploy.graph.precision.names import Precision
from un_deploy.graph.precision.rounding import NAMES
from un_deploy.graph.precision.what_stays_fp32 import Fp32Choice
from un_deploy.json_form import JsonForm

Model = TypeVar("Model")

_HALVES = {name: dtype for dtype, name in NAMES.items()}

#: Operators that do not compute: half types there only store a float32 model's weights.
_STORING = {"Cast", "CastLike", "Constant", "Identity"}


@dataclass(frozen=True)
class Converted:
    """A constant that was rounded.

    Attributes:
        name: of the initializer, or of a Constant's output.
        elements: how many numbers it holds.
        flushed: how many became zero, each below the rounding error of its neighbours.
        subnormal: how many lie below the smallest normal number, where they lose digits.
        worst_relative_error: of the numbers that did not become zero.
    """

    name: str
    elements: int
    flushed: int
    subnormal: int
    worst_relative_error: float


@dataclass(frozen=True)
class Kept:
    """An operator that stays in fp32, and why."""

    node: str
    operator: str
    reason: str


@dataclass(frozen=True)
class LiftedOpset:
    """A conversion raised its graph's opset, since operators take a type only from there on."""

    precision: Precision
    before: int
    after: int

    def __str__(self) -> str:
        return (
            f"{self.precision} lifts the graph from opset {self.before} to {self.after}, where "
            f"more of its operators take {self.precision}"
        )


@dataclass(frozen=True)
class PrecisionReport(JsonForm):
    """What a conversion did.

    Attributes:
        precision: what was asked for.
        already: whether the model computed in it before, and was left as it is.
        converted: the constants that were rounded, in the graph's order.
        kept: the operators that stay in fp32, in the graph's order.
        casts: how many Casts were put in.
        opset_before, opset_after: it rises where a type asks for it; see `lifted`.
        version: of this form.
    """

    precision: Precision
    already: bool
    converted: tuple[Converted, ...]
    kept: tuple[Kept, ...]
    casts: int
    opset_before: int
    opset_after: int
    version: int = 1

    @property
    def lifted(self) -> LiftedOpset | None:
        """The rise of the opset, for the reader; None where it stayed."""
        if self.opset_before == self.opset_after:
            return None
        return LiftedOpset(self.precision, self.opset_before, self.opset_after)


def to_precision(
    model: Model, precision: Precision, *, keep_io: bool = True, keep: Collection[str] = ()
) -> tuple[Model, PrecisionReport]:
    """Convert a model. Large weights are converted one at a time, when the result is saved.

    Args:
        model: a path, an onnx.ModelProto, an onnx_ir.Model or an onnx_graphsurgeon.Graph, in
            float32. It is not changed.
        precision: "fp32" converts nothing, and refuses a model that computes in something else.
        keep_io: float32 inputs and outputs of the graph stay so, with Casts behind and before.
        keep: what stays in fp32: operators and tensors by name, operator types, modules. A tensor
            stays with the operators that make and read it.

    Returns:
        The converted model, of the same kind (an onnx_ir.Model for a path), and the report.

    Raises:
        InputError: the model cannot be read; a name in `keep` is not there; a constant overflows
            or becomes zero, named with its place and what to do; the model computes in another
            half type, or its opset does not know the one that is asked for.
    """
    private, restore = to_ir(model)
    report = to_precision_graph(private, precision, keep_io=keep_io, keep=keep)
    return restore(private), report


def to_precision_graph(
    model: ir.Model, precision: Precision, *, keep_io: bool = True, keep: Collection[str] = ()
) -> PrecisionReport:
    """Convert an onnx_ir.Model in place, without local functions. See `to_precision`."""
    opset = model.opset_imports[""]
    already = _computes_in(model)
    if already is not None and NAMES[already[0]] != precision:
        dtype, node = already
        raise InputError(
            f"the model computes in {NAMES[dtype]} already, such as in {node!r}, not in "
            f"{precision}: ask for {NAMES[dtype]}, or export the model in float32"
        )
    half = _HALVES.get(precision)
    if half is None or already is not None:
        if keep:
            raise InputError(
                f"nothing is converted to {precision} here, so {', '.join(keep)} cannot be kept in "
                "fp32: leave that out, or convert a float32 model to fp16 or bf16"
            )
        return PrecisionReport(precision, already is not None, (), (), 0, opset, opset)
    if half == ir.DataType.BFLOAT16 and opset < 13:
        raise InputError(
            f"bf16 begins with opset 13, and the model has opset {opset}: export it with a newer "
            f"one, or use fp16"
        )
    opset_after = opset_for(model, half)
    choice = Fp32Choice(model, half, opset_after, keep=keep, keep_io=keep_io)
    converted = tuple(_checked(choice))
    model.opset_imports[""] = opset_after
    retyper = Retyper(model, choice, keep_io=keep_io)
    retyper.run()
    kept = tuple(
        Kept(node_name(node), node.op_type, reason) for node, reason in choice.kept.items()
    )
    return PrecisionReport(precision, False, converted, kept, retyper.casts, opset, opset_after)


def _checked(choice: Fp32Choice) -> list[Converted]:
    """The constants that are to be rounded; raises where one may not be."""
    stored = dict(choice.constants())
    found = []
    for value, loss in choice.narrowings.items():
        if choice.half not in choice.demands(value):
            continue
        name = str(value.name)
        if loss.flush is not None:
            raise InputError(
                f"{choice.kind(value)} {name!r} holds {loss.flush}, which becomes 0 in "
                f"{NAMES[choice.half]}: {choice.remedy()}"
            )
        if value in stored:
            lost = loss.flushed, loss.subnormal, loss.worst_relative_error
            found.append(Converted(name, stored[value].size, *lost))
    return found


def _computes_in(model: ir.Model) -> tuple[ir.DataType, str] | None:
    """A half type that an operator reads or makes otherwise than to store it, and the operator."""
    types = all_types(model)
    for node in every_node(model.graph):
        if node.op_type in _STORING and not node.domain:
            continue
        for value in (*node.inputs, *node.outputs):
            dtype = element(types.get(value)) if value is not None else None
            if dtype in NAMES:
                return dtype, node_name(node)
    return None
