"""What a rule is: how one family of operators passes on a change of variables, or absorbs it.

A rule answers two questions about one *unit* (an operator, together with the Add that is its
bias where it has one), and never touches the graph:

- `transport`: given gauges on some ports, what do they demand on the others? Called with every
  port known, it repeats what the full set must satisfy; that is how a solution is certified.
- `edits`: with all gauges known, which constants change, and how?

A port whose tensor is constant may be given any gauge: the solver divides it out of the constant
(for this use alone), so tables and parameters need no rule of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.fold.edits import Edit
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.mixing import Mixing
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.model.labels import node_name


class Refuse(Exception):  # noqa: N818  # not an error: an answer
    """A guard says no. The message is the reason that the report gives."""


class Port(NamedTuple):
    """One input or output of a unit, by position."""

    side: Literal["in", "out"]
    position: int


OUT = Port("out", 0)


def into(position: int) -> Port:
    """The unit's input at this position."""
    return Port("in", position)


#: The gauges known on a unit's ports, and those that they demand on others.
Known = Mapping[Port, Gauge]
Demands = Iterable[tuple[Port, Gauge]]


@dataclass(frozen=True, eq=False)
class Unit:
    """One operator of the graph, or one whose bias stands behind it and that Add.

    Attributes:
        node: the operator.
        rule: its family's rule; None where the rewriter does not know the operator.
        bias: the Add behind it that holds its bias, and the position of its constant.
        mixing: of a product that modulates: the Add behind it, whose other operand is one more
            port, and what makes the two tensors.
        stored: by position, the constant that others repeat to make an input: the operator can do
            without its repetitions.
        run: of layouts in a row that are one: those behind it.
    """

    node: ir.Node
    rule: Rule | None
    bias: tuple[ir.Node, int] | None = None
    mixing: Mixing | None = None
    stored: Mapping[int, ir.Value] = field(default_factory=dict)
    run: tuple[ir.Node, ...] = ()

    @property
    def name(self) -> str:
        return node_name(self.node)

    @property
    def operator(self) -> Operator:
        """What its rule says of the operator; nothing where there is no rule."""
        return Operator() if self.rule is None else self.rule.ops[self.node.op_type]

    def input(self, position: int) -> ir.Value:
        """An input that the operator cannot be without."""
        value = self.inputs[position]
        assert value is not None
        return value

    @property
    def inputs(self) -> tuple[ir.Value | None, ...]:
        """Those of the operator, constants before others repeat them."""
        return tuple(self.stored.get(i, value) for i, value in enumerate(self.node.inputs))

    @property
    def output(self) -> ir.Value:
        return self.outputs[0]

    @property
    def outputs(self) -> tuple[ir.Value, ...]:
        if self.mixing is not None:
            return tuple(self.mixing.add.outputs)
        last = self.run[-1] if self.run else self.node
        return tuple((self.bias[0] if self.bias else last).outputs)

    def ports(self) -> Iterator[tuple[Port, ir.Value]]:
        """Every input and output that is there."""
        for index, value in enumerate(self.inputs):
            if value is not None:
                yield into(index), value
        if self.mixing is not None:
            yield into(len(self.node.inputs)), self.mixing.t
        for index, value in enumerate(self.outputs):
            yield Port("out", index), value


class Rule(ABC):
    """One family of operators. Stateless; lives in the file named after the family."""

    #: What is known of each operator, by its name: the opsets whose meaning this rule knows, and
    #: what the check, the precision, the graph view and others ask.
    ops: ClassVar[Mapping[str, Operator]]

    @abstractmethod
    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        """What the known gauges demand on other ports (or on the same ones, to be compared).

        Raises:
            Refuse: the operator does not commute with these gauges.
        """

    def edits(self, unit: Unit, known: Known, view: GraphFacts) -> Iterable[Edit]:
        """The changes that make the unit compute the same in the new variables.

        All ports are in `known`; those that nothing moved hold the identity. A rule that only
        passes gauges on has none.
        """
        return ()

    @abstractmethod
    def examples(self) -> Iterator[ir.Model]:
        """Small models whose one norm folds through or into this family."""
