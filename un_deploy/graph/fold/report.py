"""What a fold did, as data: for people through the command line, for programs as JSON."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from un_deploy.arguments.check import checked
from un_deploy.arguments.names import argument
from un_deploy.errors import ThresholdError
from un_deploy.graph.analysis.norms.norm import Kind
from un_deploy.graph.fold.cancel_layouts import Cancelled
from un_deploy.graph.fold.quantised import hides_norms
from un_deploy.graph.fold.site import NearMiss
from un_deploy.json_form import JsonForm
from un_deploy.printed import Cell, Part, Printed, Table, Words, counted, first_few

_OPERATOR = re.compile(r"\S+ (\(\w+\))")
"""How a reason names an operator: what it is called, and its type in brackets."""

SiteKind = Literal["norm", "affine", "factor", "bias"]


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
        part_of: of the scale and shift of a norm that measures its input, and so stays: what that
            is, such as "LayerNormalization"; else empty.
        others: the modules of norms that follow directly on the first: those in a row are one.
    """

    label: str
    node: str
    operators: tuple[str, ...]
    channels: int
    status: Literal["folded", "stayed"]
    into: tuple[str, ...] = ()
    reason: str = ""
    part_of: str = ""
    others: tuple[str, ...] = ()

    @property
    def kind(self) -> SiteKind:
        """An affine is part of a norm that stays; of others see `kind_of`."""
        return "affine" if self.part_of else kind_of(self.operators, self.channels)


def kind_of(operators: Collection[str], channels: int) -> SiteKind:
    """Beside a linear operator a scalar factor, or a bias, is a site too, and no norm."""
    if {"Add", "Sub", "Sum"}.issuperset(operators):
        return "bias"
    factor = channels == 1 and {"Mul", "Div"}.issuperset(operators)
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
class MeasuringNorm:
    """A norm that measures its input at run time, so that no constant can replace it.

    Attributes:
        kind: what it is called.
        label: the module it was exported from, as far as the file tells.
        node: its last operator.
        operators: its operators in order: one, or those in which an exporter wrote it out.
        untried_affine: it has a scale or shift of its own, and `fold_norm_affine` was not
            asked for.
    """

    kind: Kind
    label: str
    node: str
    operators: tuple[str, ...]
    untried_affine: bool


@dataclass(frozen=True)
class FoldReport(JsonForm, Printed):
    """The outcome of a fold.

    Attributes:
        sites: every norm or other affine per channel, those in bodies of control flow too, and
            scalar factors and biases beside a linear operator, in the graph's order.
        near_misses: what was nearly a site, and why it is none.
        changes: the initializers that hold new numbers; all others are bit-identical.
        gained_biases: outputs of the linear operators that have a bias now and had none.
        cancelled: the layout operators that a norm's removal made superfluous.
        operators_before, operators_after: the number of operators in the main graph.
        measuring: norms that stay since they measure their input, those in bodies too.
        notes: what was odd about the file, and what was made of that.
        quantised: the operators that say that the network is quantised, how many of each kind.
        remedy: what can be done about norms that stay, as a sentence; empty where nothing is known.
        version: of this form.
        modules: the module that each operator named here was exported from, as far as the file
            tells; empty where the report is part of one that has them.
        proven: whether it was proven; None where that is not said here.
    """

    sites: tuple[SiteReport, ...]
    near_misses: tuple[NearMiss, ...]
    changes: tuple[ConstantChange, ...]
    gained_biases: tuple[str, ...]
    cancelled: tuple[Cancelled, ...]
    operators_before: int
    operators_after: int
    measuring: tuple[MeasuringNorm, ...] = ()
    version: int = 1
    notes: tuple[str, ...] = ()
    remedy: str = ""
    quantised: Mapping[str, int] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    proven: bool | None = None

    @property
    def folded(self) -> tuple[SiteReport, ...]:
        """Whatever folded: norms, the scale and shift of norms that stay, factors and biases."""
        return tuple(site for site in self.sites if site.status == "folded")

    @property
    def norms_gone(self) -> tuple[SiteReport, ...]:
        """The norms that folded as a whole, of which `require` asks."""
        return tuple(site for site in self.folded if site.kind == "norm")

    @property
    def may_hide_norms(self) -> bool:
        """Whether it is quantised, so that a norm may be part of what is no site."""
        return hides_norms(self.quantised)

    def json_form(self, given: dict[str, Any]) -> dict[str, Any]:
        """How many norms are gone is written, too; what is not said here is not."""
        untold = {name for name in ("modules", "proven") if getattr(self, name) in ({}, None)}
        told = {name: value for name, value in given.items() if name not in untold}
        return {**told, "norms_gone": len(self.norms_gone)}

    @property
    def gained_by(self) -> tuple[str, ...]:
        """The operators that have a bias now and had none, in the order of `gained_biases`."""
        return tuple(change.node for change in self.changes if change.old is None)

    def with_tried(self, tried: FoldReport) -> FoldReport:
        """With what a fold with `fold_norm_affine` found of scales and shifts that fold alone."""
        gone = {site.node for site in tried.folded if site.kind == "affine"}
        stay = {site.node: site for site in tried.stayed if site.kind == "affine"}
        measuring = (replace(n, untried_affine=n.node in gone) for n in self.measuring)
        sites = tuple(stay.get(s.node, s) if s.kind == "affine" else s for s in self.sites)
        return replace(self, sites=sites, measuring=tuple(measuring))

    @property
    def changed(self) -> bool:
        """Whether anything is not as it was."""
        return bool(self.folded or self.changes or self.cancelled)

    @checked
    def require(self, wanted: int | Literal["all"]) -> None:
        """Require a number of folded norms, or that no norm stays, those that measure included.

        A norm whose scale and shift alone folded is there, and does not count as folded.

        Raises:
            ThresholdError: fewer were folded, or one stays, or may hide in what is quantised; says
                which.
        """
        folded = self.norms_gone
        stayed = [site for site in self.stayed if site.kind == "norm"]
        remedy = f"; {self.remedy}" if self.remedy else ""
        if wanted != "all":
            if len(folded) < wanted:
                alone = sum(site.kind == "affine" for site in self.folded)
                why = f", and {alone} with scale and shift alone, which stay" if alone else ""
                why += f", and {_the_first(stayed)}" if stayed else ""
                raise ThresholdError(
                    f"{len(folded)} of {wanted} required norms folded{why}{remedy}"
                )
        elif self.measuring:
            raise ThresholdError(
                f"no norm may stay, but some measure their input: {self.kinds_left} "
                f"({self.names_left})"
            )
        elif stayed:
            raise ThresholdError(
                f"no norm may stay, but {len(stayed)} of {len(folded) + len(stayed)} do: "
                f"{_the_first(stayed)}{remedy}"
            )
        elif self.may_hide_norms:
            raise ThresholdError(f"no norm may stay, and whether one does cannot be told{remedy}")

    @property
    def kinds_left(self) -> str:
        """The norms that measure their input, counted by kind, such as "2 RMSNorms"."""
        return counted(norm.kind for norm in self.measuring)

    @property
    def names_left(self) -> str:
        """What they are called: the first of them, and how many more there are."""
        return first_few(norm.label for norm in self.measuring)

    def told(
        self, modules: Mapping[str, str] | None = None, *, planned: bool = False
    ) -> Iterator[Part]:
        """What folded (or would fold) where, what stays and why, and what it comes to.

        Args:
            modules: what operators are called instead, by their names.
            planned: nothing was folded in earnest, and all that was looked at is told.
        """
        modules = modules or self.modules
        if self.remedy:
            yield f"{self.remedy[:1].upper()}{self.remedy[1:]}."
        if self.sites:
            rows = list(_rows(self.sites, modules))
            yield Table(("norm, or factor or bias", "operators", ">channels", "folded into"), rows)
        yield from near_misses_told(self.near_misses, tables=planned)
        for note in self.notes:
            if note != self.remedy:
                yield f"About the file: {note}."
        if self.gained_biases:
            names = dict.fromkeys(modules.get(name, name) for name in self.gained_by)
            yield f"Linear operators that gained a bias: {', '.join(names)}"
        done = "would fold" if planned else "folded"
        counts = f"{self.operators_before} operators before, {self.operators_after} after"
        norms = [site for site in self.sites if site.kind == "norm"]
        beside = [site for site in self.folded if site.kind in ("factor", "bias")]
        if beside:
            what = "factor or bias" if len(beside) == 1 else "factors and biases"
            counts = f"{len(beside)} {what} beside linear operators too; {counts}"
        runs = " (those in a row count as one)" if any(site.others for site in norms) else ""
        said = [f"{len(self.norms_gone)} of {len(norms)} norms {done}{runs}"] if norms else []
        if tried := self._affines_tried:
            gone = sum(site.status == "folded" for site in tried)
            stay = "the norms stay" if len(tried) > 1 else "the norm stays"
            said.append(f"the scale and shift of {gone} of {len(tried)} norms {done}; {stay}")
        text = "; ".join(said) or f"there is no norm {self._none_where}"
        yield f"{text[:1].upper()}{text[1:]}; {counts}."
        if self.measuring:
            yield self._measuring_told(named=not planned)  # inspect has a table of them
        if self.proven:
            yield Words("Proven: it computes what the original does, for all inputs.", "good")
        elif self.proven is not None:
            yield f"Not proven: {argument('verify', False)} was asked for."

    @property
    def _affines_tried(self) -> list[SiteReport]:
        """The scales and shifts of norms that stay, where they were asked to fold."""
        untried = {norm.node for norm in self.measuring if norm.untried_affine}
        return [s for s in self.sites if s.kind == "affine" and s.node not in untried]

    @property
    def _none_where(self) -> str:
        if self.measuring:
            return "that could be folded"
        return "outside its quantised operators" if self.may_hide_norms else "in it"

    def nothing_folded(self, target: str | None) -> Iterator[Part]:
        """Where nothing is other than it was: that, why, and what can be done.

        Args:
            target: the file written.
        """
        if self.changed:
            return
        why = []
        if stayed := sum(site.kind == "norm" for site in self.stayed):
            why.append(f"{stayed} affine norm{'s stay' if stayed > 1 else ' stays'}, as said above")
        if self.measuring:
            verb = "measure their" if len(self.measuring) > 1 else "measures its"
            why.append(f"{self.kinds_left} {verb} input at run time")
        text = f"Nothing folded: {' and '.join(why) or f'there is no norm {self._none_where}'}. "
        if target:
            text += f"{target} is the network as it was. "
        text += f"{argument('require_folded', 1)} makes this an error."
        yield Words(text, "bad")

    def _measuring_told(self, *, named: bool) -> str:
        """The norms that no fold removes, and what can be done about them."""
        one = len(self.measuring) == 1
        told = (
            f"{self.kinds_left}{f' ({self.names_left})' if named else ''} "
            f"{'stays: it measures its' if one else 'stay: they measure their'} input at run time. "
            f"To be without, train the network with Unified Normalization in "
            f"{'its' if one else 'their'} place (un_deploy.convert_norms)"
        )
        if any(norm.kind == "LayerNormalization" for norm in self.measuring):
            told += (
                ", or convert the trained one: un-deploy convert, which takes the PyTorch model, "
                "its checkpoint and samples. Those that it kept go with a larger "
                f"{argument('max_loss')}, or with {argument('finetune')}"
            )
        told += "."
        if untried := sum(norm.untried_affine for norm in self.measuring):
            cure = argument("fold_norm_affine", True)
            told += f" Scale and shift of {untried} of them may fold alone: {cure}."
        return told

    @property
    def stayed(self) -> tuple[SiteReport, ...]:
        return tuple(site for site in self.sites if site.status == "stayed")


def _the_first(stayed: Sequence[SiteReport]) -> str:
    """Of many one is told; `inspect` lists all."""
    return f"{stayed[0].label!r} stays: {stayed[0].reason}"


def near_misses_told(misses: Sequence[NearMiss], *, tables: bool = False) -> Iterator[Part]:
    """What was nearly a site, and why it is none; a table of positions, which nobody takes for a
    norm, if `tables`."""
    rows = [(miss.node, miss.reason) for miss in misses if tables or not miss.is_table]
    if rows:
        yield Table(("nearly a norm, a factor or a bias", "but"), rows)


def _rows(sites: Sequence[SiteReport], modules: Mapping[str, str]) -> Iterator[tuple[Cell, ...]]:
    """One a site; a reason that differs from another one in names alone is not written again."""
    told: dict[str, str] = {}
    for site in sites:
        if site.status == "folded":
            into = ", ".join(dict.fromkeys(modules.get(name, name) for name in site.into))
            where = Words(f"scale and shift: {into}" if site.part_of else into, "good")
        else:
            first = told.setdefault(_OPERATOR.sub(r"\1", site.reason), site.label)
            again = first != site.label
            where = Words(f"stays, as {first}" if again else f"stays: {site.reason}", "muted")
        label = ", ".join((site.label, *site.others))
        yield label, " ".join(site.operators), str(site.channels), where
