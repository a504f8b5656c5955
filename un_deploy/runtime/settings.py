"""What runs a network, and how: one value, from the user to the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from un_deploy.graph.precision.names import Precision

Fusions = Literal["all", "no-skip-norm", "no-norm"]
"""Which of ONNX Runtime's graph optimizations run; a variant has its own, since they are forms."""

Setting = Literal["threads", "device", "precision", "tf32"]
"""Settings that not every backend takes."""

ENGINE = "engine"
"""In place of a backend's name: what `un_deploy.runtime.choose_engine` finds."""


@dataclass(frozen=True)
class RunSettings:
    """What runs a network, and how.

    Attributes:
        backend: its name in `un_deploy.runtime.backends.BACKENDS`.
        threads: for computing on the CPU; None: the backend's own choice.
        device: of torch, as it names devices.
        precision: of engines; None: that of plans which do not tell theirs.
        tf32: whether products of fp32 may be computed in TF32, where a GPU computes.
    """

    backend: str
    threads: int | None = None
    device: str = "cpu"
    precision: Precision | None = "fp32"
    tf32: bool = True


def engine_precision(asked: Precision | None) -> Precision:
    """The precision of engines: what was asked for, else fp32."""
    return asked or "fp32"
