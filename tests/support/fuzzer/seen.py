"""What a fold did in a random graph: which norms went, and what stood around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import onnx
from onnx import NodeProto

from un_deploy.graph.fold.fold import Folded
from un_deploy.graph.fold.rules import rule_for

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
        rules: operators of each rule that a norm folded through or into.
        around: (family, place) in `FAMILIES` and `PLACES`.
    """

    def __init__(self, original: onnx.ModelProto, folded: Folded) -> None:
        self._makers = {name: n for n in original.graph.node for name in n.output}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in original.graph.node:
            for name in dict.fromkeys(_read(node)):
                self._readers.setdefault(name, []).append(node)
        self._named = {_name(node): node for node in original.graph.node}
        self._constants = {t.name for t in original.graph.initializer}
        self.norms = Counter({"stayed": len(folded.report.stayed)})
        self.around: Counter[tuple[str, str]] = Counter()
        self.rules = Counter(_rules_in_play(original, folded))
        for site in folded.report.folded:
            self._site(site.node, len(site.operators), site.into)
        for cancelled in folded.report.cancelled:
            self._count(PLACES[3], self._readers.get(cancelled.removed, ()))

    def _site(self, last: str, length: int, into: tuple[str, ...]) -> None:
        node = self._named[last]
        y, x = node.output[0], ""
        for _ in range(length):
            x = next(n for n in node.input if n not in self._constants and self._is_computed(n))
            node = self._makers.get(x, node)
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

    def _is_computed(self, name: str) -> bool:
        """Whether it depends on an input of the graph."""
        if name in self._constants or not name:
            return False
        maker = self._makers.get(name)
        return maker is None or any(self._is_computed(one) for one in _read(maker))

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


def _rules_in_play(original: onnx.ModelProto, folded: Folded) -> Iterator[str]:
    """The rule of each operator that reads or makes a tensor which the fold changed."""
    changed = {n for n, claims in folded.claims.items() if any(not c.is_equality for c in claims)}
    for node in folded.model.graph:
        if any(v is not None and v.name in changed for v in (*node.inputs, *node.outputs)):
            rule = rule_for(node, original.opset_import[0].version)
            if rule is not None:
                yield type(rule).__name__


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
