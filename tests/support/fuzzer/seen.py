"""What a fold did in a random graph: which norms went, why others stayed, what was around."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import onnx
from onnx import NodeProto

from tests.support.fuzzer.passed import Operator, is_per_channel, passed, view_of
from tests.support.fuzzer.reasons import told
from un_deploy.graph.fold.fold import Folded

#: What is counted around norms, and where.
FAMILIES = ("foreign", "Loop", "If", "Scan", "random")
PLACES = (
    "reading a norm that folded backward",
    "reading what a norm folded forward into",
    "before a norm that folded forward",
    "reading a cancelled layout",
)
#: What does not come up: no shape is known behind a body, and without one no norm is found.
NEVER = {(family, PLACES[2]) for family in ("Loop", "If", "Scan")}
_RANDOM = {"RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}


def family_of(node: NodeProto) -> str:
    """One of `FAMILIES`, or the operator's name."""
    if node.domain:
        return "foreign"
    if node.op_type in _RANDOM or (node.op_type == "Dropout" and len(node.input) > 2):
        return "random"
    return node.op_type


class Seen:
    """Counts of one fold.

    Attributes:
        norms: that folded forward (or both ways), that folded backward alone, and that stayed.
        operators: (rule, operator, direction) of those that a norm folded through or into.
        most_rules: of so many rules are the operators of one norm with channels, at most.
        reasons: that the report tells, by their names.
        around: (family, place) in `FAMILIES` and `PLACES`.
    """

    def __init__(self, original: onnx.ModelProto, folded: Folded) -> None:
        self._makers = {name: n for n in original.graph.node for name in n.output}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in original.graph.node:
            for name in dict.fromkeys(_read(node)):
                self._readers.setdefault(name, []).append(node)
        self._named = {_name(node): node for node in original.graph.node}
        self.norms = Counter({"stayed": len(folded.report.stayed)})
        self.around: Counter[tuple[str, str]] = Counter()
        self.reasons = Counter(reason.name for reason in told(folded.report))
        self.most_rules = 0
        into = {site.node: site.into for site in folded.report.folded}
        in_play: set[Operator] = set()
        for site, operators in passed(view_of(original), folded):
            in_play |= operators
            if is_per_channel(site):
                self.most_rules = max(self.most_rules, len({one.rule for one in operators}))
            self._site(str(site.x.name), str(site.y.name), into[site.name])
        self.operators = Counter((one.rule, one.op_type, one.direction) for one in in_play)
        for cancelled in folded.report.cancelled:
            self._count(PLACES[3], self._readers.get(cancelled.removed, ()))

    def _site(self, x: str, y: str, into: tuple[str, ...]) -> None:
        absorbers = [self._named[name] for name in into if name in self._named]
        below = self._below(y)
        ahead = [node for node in absorbers if _name(node) in below]
        self.norms["folded forward" if ahead else "folded backward"] += 1
        if ahead:
            for node in ahead:
                for out in node.output:
                    self._count(PLACES[1], self._readers.get(out, ()))
            if x in self._makers:
                self._count(PLACES[2], [self._makers[x]])
        else:
            self._count(PLACES[0], self._readers.get(y, ()))

    def _below(self, name: str) -> set[str]:
        """The names of all operators that depend on a tensor."""
        found: dict[str, NodeProto] = {}
        waiting = [name]
        while waiting:
            for node in self._readers.get(waiting.pop(), ()):
                if _name(node) not in found:
                    found[_name(node)] = node
                    waiting += node.output
        return set(found)

    def _count(self, place: str, nodes: Iterable[NodeProto]) -> None:
        for node in nodes:
            if (family := family_of(node)) in FAMILIES:
                self.around[family, place] += 1


def _name(node: NodeProto) -> str:
    """As reports call it."""
    return node.name or node.output[0]


def _read(node: NodeProto) -> Iterator[str]:
    """What an operator reads, in its bodies too."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:
                yield from _read(inner)
