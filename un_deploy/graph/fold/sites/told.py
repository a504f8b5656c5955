"""What a report tells of each norm, while the rounds of a fold change the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.norms.operators import scale_and_shift
from un_deploy.graph.fold.edits import Shorten
from un_deploy.graph.fold.report import SiteReport
from un_deploy.graph.fold.site import NearMiss, Site
from un_deploy.graph.model.labels import label_of, node_name

_SHIFT_STAYS = "its scale is folded, and its shift stays as one Add"
_BOTH_STAY = "its shift folds nowhere, so its scale stays too"


class Told:
    """Each norm once, as it stood in the file, whatever is left of it."""

    def __init__(self, graph: ir.Graph) -> None:
        self._order = {node: index for index, node in enumerate(graph)}
        self._named = {node_name(node): node for node in graph}
        self._makers = {str(node.outputs[0].name): node for node in graph if node.outputs}
        self._end = len(self._order)
        self._reports: list[tuple[int, SiteReport]] = []
        #: Of norms of which something is left, by the last operator of that.
        self._left: dict[ir.Node, tuple[int, SiteReport]] = {}
        self._shorter: dict[ir.Node, tuple[int, SiteReport]] = {}

    def unreadable(self, miss: NearMiss) -> None:
        """A norm whose affine cannot be told."""
        node = self._named[miss.node]
        told = label_of(node), miss.node, (node.op_type,), miss.channels or 0
        report = SiteReport(*told, status="stayed", reason=miss.reason)
        self._reports.append((self._order[node], report))

    def near_misses(self, left: Iterable[NearMiss]) -> tuple[NearMiss, ...]:
        """Of those at the end, what may be no norm and stood in the file."""
        return tuple(m for m in left if m.channels is None and m.node in self._named)

    def whole(self, norms: Mapping[str, str], constants: Constants) -> None:
        """Operators that keep their scale and shift, by name, and why."""
        for name, reason in norms.items():
            node = self._named[name]
            scale, _ = scale_and_shift(node)
            channels = 0 if scale is None else constants[scale].size
            told = label_of(node), name, (node.op_type,), channels
            reason = reason.replace(_SHIFT_STAYS, _BOTH_STAY)  # the scale was put back
            self._reports.append((self._order[node], SiteReport(*told, "stayed", reason=reason)))

    def in_body(self, end: str, name: str, report: SiteReport) -> None:
        """One in a body, by the first output of its operator and the name of its attribute."""
        where = f"in the body {name!r} that makes {end!r}: "
        told = replace(report, reason=where + report.reason if report.reason else "")
        self._reports.append((self._order[self._makers[end]], told))

    def folded(self, site: Site, into: tuple[str, ...]) -> None:
        """It is gone, or what earlier rounds have left of others."""
        left = [self._left.pop(node) for node in site.nodes if node in self._left]
        is_whole = len(left) == len(site.nodes)
        if site.nodes[-1] in self._shorter:
            left.append(self._shorter.pop(site.nodes[-1]))
            is_whole = True
        for place, report in left:
            names = tuple(dict.fromkeys((*report.into, *into)))
            self._reports.append((place, replace(report, status="folded", into=names, reason="")))
        if not is_whole:
            self._reports.append((self._place(site), _report(site, into=into)))

    def shift_stays(self, site: Site, add: ir.Node, into: tuple[str, ...], reason: str) -> None:
        """This Add is left of it."""
        self._order[add] = place = self._place(site)
        self._left[add] = place, _report(site, into=into, reason=f"{_SHIFT_STAYS} ({reason})")

    def shorter(self, edit: Shorten, reason: str) -> None:
        """Fewer operators are about to compute it; its last one is among them."""
        place, report = self._shorter.get(
            edit.site.nodes[-1], (self._place(edit.site), _report(edit.site, reason="stays"))
        )
        reason += f"; shortened to {' and '.join(op_type for op_type, *_ in edit.affines)}"
        self._shorter[edit.site.nodes[-1]] = place, replace(report, reason=reason)

    def stays(self, site: Site, reason: str) -> None:
        """It is there at the end."""
        if not all(node in self._left for node in site.nodes) and (
            site.nodes[-1] not in self._shorter
        ):
            self._reports.append((self._place(site), _report(site, reason=reason)))

    def reports(self) -> tuple[SiteReport, ...]:
        """In the order of the graph."""
        found = [*self._reports, *self._left.values(), *self._shorter.values()]
        return tuple(report for _, report in sorted(found, key=lambda entry: entry[0]))

    def _place(self, site: Site) -> int:
        """Where it stands in the file; what a fold has put in, at the end."""
        return next((self._order[n] for n in site.nodes if n in self._order), self._end)


def _report(site: Site, *, into: tuple[str, ...] = (), reason: str = "") -> SiteReport:
    return SiteReport(
        label=site.label,
        node=site.name,
        operators=tuple(node.op_type for node in site.nodes),
        channels=site.affine.scale.size,
        status="stayed" if reason else "folded",
        into=into,
        reason=reason,
        others=site.others,
    )
