"""Finds the sites, the scales and shifts that a fold may remove, in every spelling that counts.

UN, BatchNormalization at inference and LayerScale are all sites. A scalar factor (an attention
scale) or a shift alone (a bias) is one where it stands beside a linear operator that can take it
in, does nothing, or is one of more in a row than are needed; elsewhere (the 0.5 of GELU, a position
table) it is none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.norms.norm import Norm
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.site import NearMiss, Site
from un_deploy.graph.fold.sites.affine_steps import Step, channels_of, step_of
from un_deploy.graph.fold.sites.beside_linear import against
from un_deploy.graph.fold.sites.branches import joined
from un_deploy.graph.fold.sites.no_norms import is_rotary
from un_deploy.graph.model.labels import label_of, node_name

#: No norm has more operators, and a proof follows no more than some 200.
_MOST = 100

#: To which norm, or operator taken apart, a node's affine belongs.
OfNorm = Mapping[ir.Node, Norm | ir.Node]


def find_sites(
    facts: GraphFacts,
    keep: Collection[str] = (),
    norms: Sequence[Norm] = (),
    taken: Mapping[ir.Node, ir.Node] | None = None,
) -> tuple[list[Site], list[NearMiss]]:
    """All sites of the main graph in topological order, and what was nearly one.

    Args:
        facts: the graph.
        keep: a site that holds an operator of one of these names is marked as kept.
        norms: those that measure their input. What they are computed of is no site; the scale and
            shift behind them are one of their own.
        taken: scales and shifts that were taken out of operators, and out of which: such are a
            site of their own too. None: the norms keep their scale and shift.
    """
    inside = {node for norm in norms for node in norm.core}
    steps, misses = _steps(facts, inside)
    of_norm: dict[ir.Node, Norm | ir.Node] = {n: norm for norm in norms for n in norm.affine}
    of_norm |= taken or {}
    owner: dict[ir.Node | None, Step] = {
        node: step for step in steps.values() for node in step.nodes
    }
    runs: dict[Step, list[Step]] = {}
    claimed: set[Step] = set()
    for step in steps.values():
        if step not in claimed and step.affine.scale.size > 1:
            runs[step] = _run(step, owner, claimed, facts, of_norm)
            claimed.update(runs[step])
    for step in steps.values():
        if step not in claimed and step.is_one_channel:
            run = _run(step, owner, claimed, facts, of_norm)
            if _is_norm(_composed(run)):
                runs[step] = run
                claimed.update(run)
    misses += _factors_and_biases([*steps.values()], owner, runs, claimed, facts, of_norm)
    staying = {} if taken is not None else {n: norm.kind for norm in norms for n in norm.affine}
    sites = [_site(runs[step], keep, staying) for step in steps.values() if step in runs]
    misses += [_too_long(site) for site in sites if len(site.nodes) > _MOST]
    return [site for site in sites if len(site.nodes) <= _MOST], misses


def _factors_and_biases(
    steps: list[Step],
    owner: Mapping[ir.Node | None, Step],
    runs: dict[Step, list[Step]],
    claimed: set[Step],
    facts: GraphFacts,
    of_norm: OfNorm,
) -> Iterator[NearMiss]:
    """Let those that do nothing, or that a linear operator takes in, be sites; name the others that
    are beside one."""
    reasons = {step: against(step, facts) for step in steps if step not in claimed}
    for step, reason in reasons.items():
        before = owner.get(step.x.producer())  # a factor that has no home but with its shift
        alone = before not in reasons or before in claimed or np.all(before.affine.scale == 1)
        if step.affine.is_identity or (reason == "" and alone):
            runs[step] = [step]
            claimed.add(step)
    for step, reason in reasons.items():
        if step in claimed:
            continue
        if run := _row(step, owner, claimed, facts, of_norm) or ([step] if reason == "" else []):
            runs[step] = run
            claimed.update(run)
        elif reason is not None:
            is_table = len(step.affine.varies) > 1
            yield NearMiss(node_name(step.nodes[-1]), reason, is_table=is_table)


def _row(
    step: Step,
    owner: Mapping[ir.Node | None, Step],
    claimed: set[Step],
    facts: GraphFacts,
    of_norm: OfNorm,
) -> list[Step]:
    """Factors and biases in a row that a linear operator takes in, or that are more than needed."""
    if step.nodes[0].op_type == "Neg":
        return []  # a sign passes wherever a scale does
    run = _run(step, owner, claimed, facts, of_norm, alike=False)
    whole = _whole(run)
    needed = int(np.any(whole.affine.scale != 1)) + int(np.any(whole.affine.shift))
    held = all(any(v in facts.constants for v in node.inputs) for node in whole.nodes)
    fewer = held and needed < len(whole.nodes)
    fits = len(run) > 1 and (fewer or against(whole, facts) == "")
    return run if fits else []


def _whole(run: list[Step]) -> Step:
    """A run as one step."""
    return Step(
        tuple(node for step in run for node in step.nodes), run[0].x, run[-1].y, _composed(run)
    )


def _too_long(site: Site) -> NearMiss:
    reason = f"a row of {len(site.nodes)} operators is more than a proof follows"
    return NearMiss(site.name, reason, site.affine.scale.size)


def _is_norm(affine: Affine) -> bool:
    """Of scalars: a factor and a shift."""
    return bool(np.any(affine.scale != 1) and np.any(affine.shift))


def _steps(
    facts: GraphFacts, inside: Collection[ir.Node]
) -> tuple[dict[ir.Node, Step], list[NearMiss]]:
    """Every affine step by its last operator, and what was nearly one; none `inside` a norm."""
    steps: dict[ir.Node, Step] = {}
    misses: list[NearMiss] = []
    hidden: set[ir.Node | None] = set()  # their successors are parts of the same norm
    for node in facts.model.graph:
        if node in facts.biased or node in inside:
            continue
        found = step_of(node, facts) or joined(node, steps, facts)
        if isinstance(found, Step):
            for inner in found.nodes:
                steps.pop(inner, None)
            steps[node] = found
        elif found is not None:
            first = hidden.isdisjoint(v.producer() for v in node.inputs if v is not None)
            channels = channels_of(node, facts) if first else None
            misses.append(NearMiss(node_name(node), found, channels))
            hidden.add(node)
    tables = [node for node, step in steps.items() if is_rotary(step, steps, facts)]
    return {node: step for node, step in steps.items() if node not in tables}, misses


def _site(run: list[Step], keep: Collection[str], staying: Mapping[ir.Node, str]) -> Site:
    whole = _whole(run)
    site = Site(whole.nodes, whole.x, whole.y, whole.affine, label_of(whole.nodes[0]))
    norm = staying.get(whole.nodes[0], "")
    return replace(site, kept=bool(site.names & set(keep)), norm=norm)


def _composed(run: list[Step]) -> Affine:
    affine = run[0].affine
    for step in run[1:]:
        affine = step.affine.after(affine)
    return affine


def _run(
    core: Step,
    owner: Mapping[ir.Node | None, Step],
    claimed: set[Step],
    facts: GraphFacts,
    of_norm: OfNorm,
    *,
    alike: bool = True,
) -> list[Step]:
    """The core and its affine neighbours up and down, over the same axes, of the same norm.

    Of norms they are `alike`, so that a factor beside them belongs to another; else all join that
    vary along one axis at most.
    """
    axes, norm = core.affine.varies, of_norm.get(core.nodes[0])
    run = [core]

    def joins(step: Step | None) -> bool:
        if step is None or step in claimed or of_norm.get(step.nodes[0]) is not norm:
            return False
        if not alike:
            if len(run) == _MOST or step.nodes[0].op_type == "Neg":
                return False
            return len(step.affine.varies.union(*(one.affine.varies for one in run))) <= 1
        return step.affine.varies <= axes and (bool(axes) or step.is_one_channel)

    while not run[0].x.is_graph_output():
        before = owner.get(run[0].x.producer())
        if before is None or not joins(before):
            break
        if not set(facts.readers(before.y)) <= set(run[0].nodes):
            break
        run.insert(0, before)
    while not run[-1].y.is_graph_output():
        readers = facts.readers(run[-1].y)
        after = owner.get(readers[0]) if readers else None
        if after is None or not joins(after) or not set(readers) <= set(after.nodes):
            break
        run.append(after)
    # A scalar at an end belongs to the neighbour (GELU's 0.5, an attention scale).
    while alike and axes and not run[0].affine.varies:
        run.pop(0)
    while alike and axes and not run[-1].affine.varies:
        run.pop()
    return run
