"""What a fold did, as data: for people through the command line, for programs as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from un_deploy.graph.fold.cancel_layouts import Cancelled
from un_deploy.graph.fold.site import NearMiss
from un_deploy.json_form import JsonForm


@dataclass(frozen=True)
class SiteReport:
    """One norm (or other affine) and what became of it.

    Attributes:
        label: the module it was exported from, as far as the file tells.
        node: its last operator.
        operators: its operators in order, such as ("Mul", "Add").
        channels: how many entries its scale has; 0 where that is unknown.
        status: folded, or stayed for the reason given.
        into: the operators and constants that took it in.
        reason: why it stayed; empty when folded.
    """

    label: str
    node: str
    operators: tuple[str, ...]
    channels: int
    status: Literal["folded", "stayed"]
    into: tuple[str, ...] = ()
    reason: str = ""

    @property
    def kind(self) -> Literal["norm", "factor", "bias"]:
        """Beside a linear operator a scalar factor, or a bias, is a site too, and no norm."""
        if {"Add", "Sub"}.issuperset(self.operators):
            return "bias"
        factor = self.channels == 1 and {"Mul", "Div"}.issuperset(self.operators)
        return "factor" if factor else "norm"


@dataclass(frozen=True)
class ConstantChange:
    """An initializer that holds new numbers.

    Attributes:
        node: the operator that reads it.
        old: the initializer that held the numbers before; None for a gained bias.
        new: the one that holds them now; the same name where nobody else read the old one.
        relative: max |new - old| / max |old|, in float64; None for a gained bias, or one that
            was zero.
    """

    node: str
    old: str | None
    new: str
    relative: float | None


@dataclass(frozen=True)
class FoldReport(JsonForm):
    """The outcome of a fold.

    Attributes:
        sites: every norm or other affine per channel, those in bodies of control flow too, and
            scalar factors and biases beside a linear operator, in the graph's order.
        near_misses: what was nearly a site, and why it is none.
        changes: the initializers that hold new numbers; all others are bit-identical.
        gained_biases: outputs of the linear operators that have a bias now and had none.
        cancelled: the layout operators that a norm's removal made superfluous.
        operators_before, operators_after: the number of operators in the main graph.
        notes: what was odd about the file, and what was made of that.
        version: of this form.
    """

    sites: tuple[SiteReport, ...]
    near_misses: tuple[NearMiss, ...]
    changes: tuple[ConstantChange, ...]
    gained_biases: tuple[str, ...]
    cancelled: tuple[Cancelled, ...]
    operators_before: int
    operators_after: int
    version: int = 1
    notes: tuple[str, ...] = ()

    @property
    def folded(self) -> tuple[SiteReport, ...]:
        return tuple(site for site in self.sites if site.status == "folded")

    @property
    def stayed(self) -> tuple[SiteReport, ...]:
        return tuple(site for site in self.sites if site.status == "stayed")
