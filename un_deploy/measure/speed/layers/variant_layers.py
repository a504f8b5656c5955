"""The timed layers of one variant, summed by group, and the sentence on where LN's time went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from un_deploy.graph.fold.rules.operator import Group
from un_deploy.measure.speed.variant import TITLES, Kind

GROUPS: dict[Group, str] = {
    "products": "matrix products, convolutions",
    "attention": "attention",
    "normalization": "normalization",
    "activation": "activations",
    "elementwise": "other elementwise",
    "layout": "layout and types",
    "other": "not assigned",
}
"""As tables call them, in the order in which they are shown."""


@dataclass(frozen=True)
class ProfiledLayer:
    """What a runtime runs as one, and how long that takes.

    Attributes:
        name, kind: the runtime's; see `un_deploy.runtime.layer_times.TimedLayer`.
        onnx_nodes: names of the ONNX nodes that it computes, as far as they are told.
        operators: what these nodes are, each once, in their order.
        group: see `un_deploy.measure.speed.layers.groups`.
        median_s: seconds in one run.
    """

    name: str
    kind: str
    onnx_nodes: tuple[str, ...]
    operators: tuple[str, ...]
    group: Group
    median_s: float

    @property
    def what(self) -> str:
        """What it is and what it fuses, without names."""
        if self.operators in ((), (self.kind,)):
            return self.kind or self.name
        return f"{self.kind}: {' '.join(self.operators)}"


@dataclass(frozen=True)
class VariantLayers:
    """The layers of a variant.

    Attributes:
        kind, form: the variant; of LN the fastest form.
        layers: in the order in which they run.
        runs: how many were timed layer by layer.
        run_s: seconds of a whole run as the comparison timed it, when nobody looked at the layers.
        warnings: of what ran it while it looked.
    """

    kind: Kind
    form: str
    layers: tuple[ProfiledLayer, ...]
    runs: int
    run_s: float
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As a table calls it."""
        return f"{TITLES[self.kind]}, {self.form}" if self.form else TITLES[self.kind]

    @property
    def layers_s(self) -> float:
        """The sum of the medians of all layers."""
        return fsum(layer.median_s for layer in self.layers)

    @property
    def groups_s(self) -> dict[Group, float]:
        """Seconds by group: all of `GROUPS`, in that order; their sum is `layers_s`."""
        return {
            group: fsum(layer.median_s for layer in self.layers if layer.group == group)
            for group in GROUPS
        }

    @property
    def unassigned(self) -> tuple[str, ...]:
        """What the layers are that are in no group, each once."""
        return tuple(dict.fromkeys(one.what for one in self.layers if one.group == "other"))


def groups_of(variants: Sequence[VariantLayers]) -> list[Group]:
    """Those that a layer of some variant is in, in the order of `GROUPS`."""
    there = {layer.group for one in variants for layer in one.layers}
    return [group for group in GROUPS if group in there]


def where_it_went(ln: VariantLayers, folded: VariantLayers) -> str:
    """What LN's layers take beside UN folded's, group by group, the largest difference first."""
    less = {group: 1e3 * (ln.groups_s[group] - folded.groups_s[group]) for group in GROUPS}
    parts = ", ".join(
        f"{GROUPS[group]} {ms:+.4f} ms"
        for group, ms in sorted(less.items(), key=lambda one: -abs(one[1]))
        if abs(ms) >= 5e-5
    )
    return (
        f"The layers of {ln.name} take {1e3 * ln.layers_s:.4f} ms together, those of {folded.name} "
        f"{1e3 * folded.layers_s:.4f} ms. LN less UN folded: {parts or 'nothing'}."
    )
