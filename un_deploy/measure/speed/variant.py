"""A variant of a network, as it is compared; and which times are divided by which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from un_deploy.runtime.settings import Fusions

Kind = Literal["ln", "unfolded", "folded", "none"]

TITLES: dict[Kind, str] = {
    "ln": "LN",
    "unfolded": "UN unfolded",
    "folded": "UN folded",
    "none": "no norm",
}

COMPARED: tuple[tuple[Kind, Kind], ...] = (
    ("ln", "folded"),
    ("unfolded", "folded"),
    ("ln", "unfolded"),
    ("folded", "none"),
)


@dataclass(frozen=True)
class Variant:
    """One form of a network to be timed.

    Attributes:
        model: the ONNX file, or the plan.
        source: where it comes from, for the reader: a file, a spec, or what it was derived from.
        derived: whether un-deploy made it from another variant.
        operators: in its graph; None: a plan, which does not tell.
        form: what tells it from others of its kind.
        plan_bytes: the size of the plan; None: it is an ONNX file.
    """

    kind: Kind
    model: str
    source: str
    derived: bool
    operators: int | None
    form: str = ""
    fusions: Fusions = "all"
    plan_bytes: int | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.form}" if self.form else self.kind
