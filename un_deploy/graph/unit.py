"""An operator as the rules see it: with its ports, and the Add that is its bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from un_deploy.graph.rules.protocol import Port, into

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx_ir as ir

    from un_deploy.graph.rules.protocol import Rule


@dataclass(frozen=True, eq=False)
class Unit:
    """One operator of the graph, or a MatMul and the Add behind it.

    Attributes:
        node: the operator.
        rule: its family's rule; None where the rewriter does not know the operator.
        bias: the Add behind a MatMul whose only reader it is, and the position of its constant.
    """

    node: ir.Node
    rule: Rule | None
    bias: tuple[ir.Node, int] | None = None

    @property
    def name(self) -> str:
        return self.node.name or str(self.node.outputs[0].name)

    @property
    def output(self) -> ir.Value:
        return self.outputs[0]

    @property
    def outputs(self) -> tuple[ir.Value, ...]:
        return tuple((self.bias[0] if self.bias else self.node).outputs)

    def ports(self) -> Iterator[tuple[Port, ir.Value]]:
        """Every input and output that is there."""
        for index, value in enumerate(self.node.inputs):
            if value is not None:
                yield into(index), value
        for index, value in enumerate(self.outputs):
            yield Port("out", index), value
