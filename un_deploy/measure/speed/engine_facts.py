"""What the builder of a variant's TensorRT engine tells of it: sizes, memory, kernels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from un_deploy.measure.speed.variant import Kind


@dataclass(frozen=True)
class PlannedKernel:
    """A kernel of an engine: TensorRT's name, what it is, the ONNX nodes, bytes it writes."""

    name: str
    what: str
    onnx_nodes: tuple[str, ...]
    bytes_written: int | None


@dataclass(frozen=True)
class EngineFacts:
    """The TensorRT engine of a variant, as its builder tells of it; it is built and not run.

    Attributes:
        activation_bytes: on the device, beside weights; None where it is not told.
        bytes_written: by all kernels in one run; None where a size is open.
        same_as_none: whether its kernels have the signatures of the engine without norms, which
            for UN folded has the biases that the fold gained; None where there is none to compare
            with.
        kernels: in the order in which they run.
        warnings: of its builder, and what the conversion to its precision tells.
        types: of how many products its kernels show the type; not of which, and why.
        tf32: whether its products of fp32 may be computed in TF32; None: an older report.
    """

    kind: Kind
    form: str
    flavor: str
    tensorrt: str
    precision: str
    plan_bytes: int
    activation_bytes: int | None
    bytes_written: int | None
    same_as_none: bool | None
    kernels: tuple[PlannedKernel, ...]
    warnings: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    tf32: bool | None = None


FUSED_AWAY = (
    "UN unfolded has the kernels of no norm here: TensorRT has fused its scale and shift into its "
    "neighbours, so folding it changes no kernel of this engine."
)


def fused_away(engines: Iterable[EngineFacts]) -> bool:
    """Whether `FUSED_AWAY` is to be said of these engines."""
    return any(one.kind == "unfolded" and bool(one.same_as_none) for one in engines)
