"""Folds a network anew, as another one was folded: the norms that are still in that one stay."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest

import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.fold.report import SiteReport
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.graph.proof.same_operator import difference, same_numbers
from un_deploy.measure.equality.graph_differences import another_operator


@dataclass(frozen=True)
class FoldedAgain:
    """The fold of a network, and the first thing that tells another one from it.

    Attributes:
        folded: the fold.
        difference: empty where operators, names, types and shapes are alike: then only the
            numbers of the main graph's constants may differ.
    """

    folded: Folded
    difference: str


def fold_again(original: ir.Model, other: ir.Model, keep: Collection[str] = ()) -> FoldedAgain:
    """Fold the original, and see whether the other network has that form.

    Where it has not, the norms that are still in the other network are taken as kept, and the fold
    is done once more: at first those of which every constant is the original's, as a fold leaves
    what it is told to keep, then all, since another tool may have kept them. The same again with
    the scale and shift of LayerNormalizations and RMSNorms, where there are such.

    Raises:
        InputError: the original cannot be folded, or a name in `keep` is no norm.
    """
    best = _fold_but_for_kept(original, other, keep, fold_norm_affine=False)
    if best.difference and any(norm.untried_affine for norm in best.folded.report.measuring):
        affines_too = _fold_but_for_kept(original, other, keep, fold_norm_affine=True)
        return best if affines_too.difference else affines_too
    return best


def _fold_but_for_kept(
    original: ir.Model, other: ir.Model, keep: Collection[str], *, fold_norm_affine: bool
) -> FoldedAgain:
    def fold(kept: Collection[str]) -> FoldedAgain:
        model = to_ir(original)[0]
        folded = fold_graph(model, keep=kept, fold_norm_affine=fold_norm_affine)
        return FoldedAgain(folded, form_difference(folded.model, other))

    best = fold(keep)
    there = {(node_name(node), node.op_type) for node in other.graph}
    sites = best.folded.report.sites
    stayed = [site for site in sites if (site.node, site.operators[-1]) in there]
    untouched = [site for site in stayed if _untouched(site, original, other)]
    tried: list[list[SiteReport]] = [[]]
    for kept in (untouched, stayed):
        # Of those that stayed some are none that a fold can keep, nor is a norm that only an
        # earlier round has made; and layouts are cancelled beside what stays, not what is kept.
        gone = [site for site in kept if site.status == "folded" or site.into]
        for chosen in (kept, gone):
            if best.difference and chosen not in tried:
                tried.append(chosen)
                with suppress(InputError):
                    best = fold([*keep, *(site.node for site in chosen)])
    return best


def _untouched(site: SiteReport, original: ir.Model, other: ir.Model) -> bool:
    """Whether the constants of a norm are the same in both networks."""
    nodes = {node_name(node): node for node in original.graph}
    node = nodes.get(site.node)
    for _ in site.operators:
        if node is None:
            return False
        values = [value for value in node.inputs if value is not None]
        for value in filter(ir.Value.is_initializer, values):
            held = other.graph.initializers.get(str(value.name))
            if held is None or not same_numbers(held.const_value, value.const_value):
                return False
        node = next((made for value in values if (made := value.producer()) is not None), None)
    return True


def form_difference(expected: ir.Model, found: ir.Model) -> str:
    """The first thing that tells two graphs apart, the numbers of their constants aside.

    Its words are those of `un_deploy.measure.equality.record.Called`.
    """
    if any(found.opset_imports.get(d) != v for d, v in expected.opset_imports.items()):
        return "the operators of the other network are of other opsets than the fold has"
    for one, other in zip_longest(expected.graph, found.graph):
        if one is None:
            return f"the fold ends before the operator {node_name(other)!r} of the other network"
        if other is None:
            return f"the other network ends before the operator {node_name(one)!r} of the fold"
        text = difference(other, one, _same_name)
        if text or [v.name for v in one.outputs] != [v.name for v in other.outputs]:
            return another_operator(other, one, text)
    weights = [
        {name: (v.dtype, v.shape) for name, v in model.graph.initializers.items()}
        for model in (expected, found)
    ]
    for name in sorted(weights[0].keys() | weights[1].keys()):
        if weights[0].get(name) != weights[1].get(name):
            return f"the constant {name!r} of the other network is not as the fold has it"
    return ""


def _same_name(new: ir.Value, old: ir.Value, shape_only: bool) -> bool:
    return new.name == old.name
