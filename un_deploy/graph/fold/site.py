"""A site, a scale and shift that a fold may remove; and a near miss, what only looks like one."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from un_deploy.arguments.names import argument
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.model.labels import label_of, names_of, node_name


@dataclass(frozen=True, eq=False)
class Site:
    """A maximal run of affine operators from x to y = affine(x), shapes alike.

    Its branches, if it has some, meet in a sum again.

    Attributes:
        nodes: the operators, first to last; the first reads x.
        x, y: the tensors before and after.
        affine: their composition, aligned to x's rank.
        label: the norm's name as the network's author knows it, as far as the file tells.
        kept: the user asked to leave it alone.
        norm: what it is the scale and shift of, where it stays with that, such as
            "LayerNormalization".
    """

    nodes: tuple[ir.Node, ...]
    x: ir.Value
    y: ir.Value
    affine: Affine
    label: str
    kept: bool = False
    norm: str = ""

    @property
    def stays(self) -> str:
        """Why it stays whatever may be folded; empty where nothing keeps it."""
        if self.kept:
            return "kept, as asked"
        if self.norm:
            return (
                f"belongs to a written-out {self.norm}, which runtimes recognise by it; "
                f"{argument('fold_norm_affine', True)} lets it fold"
            )
        return ""

    @property
    def name(self) -> str:
        """The name of the last operator (of its output, where it has none)."""
        return self.nodes[-1].name or str(self.y.name)

    @property
    def names(self) -> frozenset[str]:
        """All that a user may call it: its modules, its operators, their outputs."""
        return frozenset({self.label, *self.others, *names_of(self.nodes)})

    @property
    def others(self) -> tuple[str, ...]:
        """The modules besides `label` that have operators in it: norms in a row are one site."""
        labels = dict.fromkeys(label_of(n) for n in self.nodes if label_of(n) != node_name(n))
        return tuple(one for one in labels if not f"{self.label}.".startswith(f"{one}."))

    @property
    def is_chain(self) -> bool:
        """Whether each operator reads the one before it and no other: there are no branches."""
        inside = {self.x, *(value for node in self.nodes for value in node.outputs)}
        return all(sum(value in inside for value in node.inputs) == 1 for node in self.nodes)

    @property
    def cost(self) -> float:
        """What the site costs at run time: one an operator, two one that scales and shifts."""
        both = ("BatchNormalization", "Scaler")
        return sum(2.0 if node.op_type in both else 1.0 for node in self.nodes)


@dataclass(frozen=True)
class NearMiss:
    """An operator that looks like part of a norm but is none that can be folded, and why.

    Attributes:
        node: the operator.
        reason: why it cannot be folded.
        channels: how many channels a norm has, 0 where that is unknown; None of what may be none.
        is_table: its numbers differ along more than one axis, as those of a position embedding do.
    """

    node: str
    reason: str
    channels: int | None = None
    is_table: bool = False
