"""Which claims on the tensors of a folded graph are proven, found by either tensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import onnx_ir as ir

from un_deploy.graph.fold.original_tensors import Claim


class ProvenClaims:
    """One tensor may stand for thousands, as where many branches start with a norm each."""

    def __init__(self) -> None:
        self._by_original: dict[str, dict[ir.Value, list[Claim]]] = {}
        #: The first claim on more than a tensor's shape, and the first one with a gauge.
        self._firsts: dict[ir.Value, list[Claim]] = {}

    def add(self, value: ir.Value, claim: Claim) -> None:
        """Take a claim for proven."""
        self._by_original.setdefault(claim.original, {}).setdefault(value, []).append(claim)
        if not claim.shape_only:
            firsts = self._firsts.setdefault(value, [claim])
            if claim.gauge is not None and firsts[-1].gauge is None:
                firsts.append(claim)

    def of(self, value: ir.Value, original: str) -> list[Claim]:
        """What is proven of this tensor about that of the original."""
        return self._by_original.get(original, {}).get(value, [])

    def has_numbers(self, value: ir.Value) -> bool:
        """Whether more than its shape is known."""
        return value in self._firsts

    def tells_numbers(self, old: ir.Value, leaves: Set[ir.Value]) -> bool:
        """Whether one of these tensors stands for that of the original."""
        return any(self._on(old, leaves))

    def on_leaves(
        self, leaves: Set[ir.Value], originals: Iterable[ir.Value]
    ) -> Mapping[ir.Value, tuple[Claim, ...]]:
        """For each leaf what it is claimed to be of these tensors, behind its first claims.

        These tell of what type it is and, as far as they have a gauge, of what size.
        """
        found = {leaf: dict.fromkeys(self._firsts[leaf]) for leaf in leaves}
        for old in originals:
            for leaf, claim in self._on(old, leaves):
                found[leaf][claim] = None
        return {leaf: tuple(claims) for leaf, claims in found.items()}

    def _on(self, old: ir.Value, leaves: Set[ir.Value]) -> Iterable[tuple[ir.Value, Claim]]:
        for value, claims in self._by_original.get(str(old.name), {}).items():
            if value in leaves:
                yield from ((value, claim) for claim in claims if not claim.shape_only)
