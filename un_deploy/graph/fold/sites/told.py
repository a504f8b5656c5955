"""What a report tells of each norm, while the rounds of a fold change the graph."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from un_deploy.graph.fold.report import SiteReport
from un_deploy.graph.fold.site import NearMiss, Site
from un_deploy.graph.model.labels import label_of, node_name

_SHIFT_STAYS = "its scale is folded, and its shift stays as one Add ({})"


class Told:
    """Each norm once, as it stood in the file, whatever is left of it."""

    def __init__(self, graph: ir.Graph) -> None:
        self._order = {node: index for index, node in enumerate(graph)}
        self._named = {node_name(node): node for node in graph}
        self._makers = {str(node.outputs[0].name): node for node in graph if node.outputs}
        self._end = len(self._order)
        self._reports: list[tuple[int, SiteReport]] = []
        #: By the Add that is left of a norm, and by the last operator of one made shorter.
        self._left: dict[ir.Node, tuple[int, SiteReport]] = {}
        self._spelled: dict[ir.Node, SiteReport] = {}

    def unreadable(self, miss: NearMiss) -> None:
        """A norm whose affine cannot be told."""
        node = self._named[miss.node]
        told = label_of(node), miss.node, (node.op_type,), miss.channels or 0
        report = SiteReport(*told, status="stayed", reason=miss.reason)
        self._reports.append((self._order[node], report))

    def in_body(self, end: str, name: str, report: SiteReport) -> None:
        """One in a body, by the first output of its operator and the name of its attribute."""
        where = f"in the body {name!r} that makes {end!r}: "
        told = replace(report, reason=where + report.reason if report.reason else "")
        self._reports.append((self._order[self._makers[end]], told))

    def folded(self, site: Site, into: tuple[str, ...]) -> None:
        """It is gone, or what an earlier round has left of others."""
        left = [self._left.pop(node) for node in site.nodes if node in self._left]
        for place, report in left:
            names = tuple(dict.fromkeys((*report.into, *into)))
            self._reports.append((place, replace(report, status="folded", into=names, reason="")))
        if len(left) < len(site.nodes):
            self._reports.append((self._place(site), _report(site, into=into)))

    def shift_stays(self, site: Site, add: ir.Node, into: tuple[str, ...], reason: str) -> None:
        """This Add is left of it."""
        self._order[add] = place = self._place(site)
        self._left[add] = place, _report(site, into=into, reason=_SHIFT_STAYS.format(reason))

    def shorter(self, site: Site, added: list[ir.Node], reason: str) -> None:
        """Fewer operators compute it: these, and its last one."""
        last = site.nodes[-1]
        self._spelled.setdefault(last, _report(site, reason=reason))
        self._order |= dict.fromkeys((*added, last), self._place(site))

    def stays(self, site: Site, reason: str) -> None:
        """It is there at the end."""
        if all(node in self._left for node in site.nodes):
            return
        report = _report(site, reason=reason)
        if (spelled := self._spelled.get(site.nodes[-1])) is not None:
            reason = f"{report.reason}; shortened to {' and '.join(report.operators)}"
            report = replace(spelled, reason=reason)
        self._reports.append((self._place(site), report))

    def reports(self) -> tuple[SiteReport, ...]:
        """In the order of the graph."""
        found = [*self._reports, *self._left.values()]
        return tuple(report for _, report in sorted(found, key=lambda entry: entry[0]))

    def _place(self, site: Site) -> int:
        """Where it stands in the file; one that begins with what a fold has put in, at the end."""
        return self._order.get(site.nodes[0], self._end)


def _report(site: Site, *, into: tuple[str, ...] = (), reason: str = "") -> SiteReport:
    return SiteReport(
        label=site.label,
        node=site.name,
        operators=tuple(node.op_type for node in site.nodes),
        channels=site.affine.scale.size,
        status="stayed" if reason else "folded",
        into=into,
        reason=reason,
    )
