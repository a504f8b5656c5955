"""A norm that measures its input at run time, so that no constant can replace it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from un_deploy.graph.model.labels import label_of, names_of

#: What users call them.
Kind = Literal[
    "LayerNormalization",
    "RMSNorm",
    "GroupNorm",
    "InstanceNorm",
    "LpNormalization",
    "MeanVarianceNormalization",
]


@dataclass(frozen=True, eq=False)
class Norm:
    """One norm from x, the first input of ``nodes[0]``, to y.

    Attributes:
        kind: what it is called.
        nodes: its operators in the graph's order: one, or those that an exporter wrote.
        y: the tensor that leaves it.
        affine: those of its operators that are its scale and shift and stand behind the others.
        inner: whether a scale or shift stands between the others, as Keras writes it.
        obstacle: why it cannot be taken for a map from x to y alone; empty where it can.
    """

    kind: Kind
    nodes: tuple[ir.Node, ...]
    y: ir.Value
    affine: tuple[ir.Node, ...] = ()
    inner: bool = False
    obstacle: str = ""

    @property
    def label(self) -> str:
        """Its module's path, or the name of its first operator."""
        return label_of(self.nodes[0])

    @property
    def names(self) -> frozenset[str]:
        """All that a user may call it: its module, its operators, their outputs."""
        return frozenset({self.label, *names_of(self.nodes)})

    @property
    def core(self) -> tuple[ir.Node, ...]:
        """Its operators without the scale and shift behind them."""
        return tuple(node for node in self.nodes if node not in self.affine)
