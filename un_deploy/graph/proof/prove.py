"""Proves a fold by parts, without running the network.

The fold says which original tensors each tensor of the folded graph stands for, and through what
gauge. Nothing of that is believed. In the order of the graph each claim is proven from those on
the tensors before it:

- an operator that is the original's, and that reads and gives what the original's does, is proven
  by being the same (`same_operator`): any operator, of any domain, with any body;
- everything else is computed on both sides between proven tensors, and compared (`compare_region`):
  an operator that a norm was folded into, and the norm itself, in the slice of the original.

Every constant is the original's bit for bit, or was rewritten by the fold and is held against its
exact value in every entry (`saved`). And the outputs of the graph are the original's.

So the whole graph is looked at, branches and rows that no input would reach among it, at the price
of reading the weights. `solve.certify` proves the gauges consistent; this needs none of it.
"""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.evaluators import is_known
from un_deploy.graph.fold.fold import Folded
from un_deploy.graph.fold.original_tensors import Claim
from un_deploy.graph.fold.sites.bodies import alone, read_outside
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.proof.compare_region import compare_region
from un_deploy.graph.proof.kept_constants import KeptConstants
from un_deploy.graph.proof.proof import Problem, Proof
from un_deploy.graph.proof.proven_claims import ProvenClaims
from un_deploy.graph.proof.region import NoProofError, Region, Regions, Sources
from un_deploy.graph.proof.same_operator import difference
from un_deploy.graph.proof.same_signature import signature_problems
from un_deploy.graph.proof.slices import OutsideError


def prove(original: ir.Model, folded: Folded) -> Proof:
    """Prove that a folded graph computes what the original computes.

    Args:
        original: before the fold.
        folded: what `fold_graph` made of a copy. Its model may be another one of the same names,
            such as one read from a file: then that is proven.
    """
    return _Prover(original, folded).proof()


class _Prover:
    def __init__(self, original: ir.Model, folded: Folded) -> None:
        self._original = original
        self._folded = folded
        self._model = folded.model
        self._old = {
            str(v.name): v
            for v in (
                *original.graph.inputs,
                *original.graph.initializers.values(),
                *(v for node in original.graph for v in node.outputs),
            )
        }
        self._order = {name: index for index, name in enumerate(self._old)}
        self._constants = Constants(original, folded.shapes)
        self._kept = KeptConstants(original, folded)
        self._sources = Sources(
            original, folded.shapes, self._constants, self._old, self._kept.exact
        )
        self._proven = ProvenClaims()
        self._regions = Regions(self._sources, self._kept, self._proven)
        self._covered: set[ir.Node] = set()
        self._problems: list[Problem] = []
        self._worst = 0.0
        self._operators = self._in_regions = self._in_bodies = 0

    def proof(self) -> Proof:
        self._problems += signature_problems(self._original, self._model)
        self._inputs()
        for node in self._model.graph:
            self._node(node)
        self._kept.check_all()
        self._problems += self._kept.problems
        self._outputs()
        for node in self._model.graph:
            if node not in self._covered and not self._problems:
                self._note(node_name(node), "stands for nothing in the original", differs=False)
        return Proof(
            tuple(self._problems),
            self._operators,
            self._in_regions,
            len(self._kept.compared) + self._in_bodies,
            self._worst,
        )

    def _note(self, place: str, text: str, *, differs: bool) -> None:
        self._problems.append(Problem(place, text, differs))

    # Tensors

    def _claims(self, value: ir.Value) -> list[Claim]:
        """What a tensor is claimed to stand for, the earliest of the original first."""
        name = str(value.name)
        claims = self._folded.claims.get(name, (Claim(name),))
        known = (claim for claim in claims if claim.original in self._order)
        return sorted(known, key=lambda claim: self._order[claim.original])

    def _inputs(self) -> None:
        for value in self._model.graph.inputs:
            old = self._old.get(str(value.name))
            if old is not None and old.is_graph_input():
                self._proven.add(value, Claim(str(value.name)))
            self._prove_claims(value, "")

    def _outputs(self) -> None:
        for value, old in zip(
            self._model.graph.outputs, self._original.graph.outputs, strict=False
        ):
            if not self._same(value, old, False) and not self._problems:
                self._note(str(old.name), "is an output that could not be proven", differs=False)

    def _same(self, new: ir.Value, old: ir.Value, shape_only: bool) -> bool:
        """Whether a tensor of the folded graph holds what one of the original holds."""
        if old.name not in self._old or self._old[str(old.name)] is not old:
            return False
        if new.is_initializer() and not new.is_graph_input():
            return self._kept.same(new, old)
        found = self._proven.of(new, str(old.name))
        return any(shape_only or claim.is_equality for claim in found)

    # Operators

    def _node(self, node: ir.Node) -> None:
        if node.outputs and self._kept.is_rewritten_node(node.outputs[0]):
            self._covered.add(node)
            return
        reason = self._as_original(node)
        if reason and self._knows_what_it_reads(node):
            reason = self._as_original(node)
        if not reason:
            self._operators += 1
            self._covered.add(node)
        for value in node.outputs:
            # A mask that nobody reads need not be told.
            if value.index() == 0 or value.uses() or value.is_graph_output():
                self._prove_claims(value, reason)

    def _as_original(self, node: ir.Node) -> str:
        """Prove what the outputs stand for by the operator being one of the original's.

        Returns:
            Why it is none; empty where it is one.
        """
        reason = "stands for nothing in the original"
        for claim in (c for v in node.outputs for c in self._claims(v) if c.is_equality):
            old = self._old[claim.original].producer()
            if old is None:
                continue
            reason = difference(node, old, self._same, self._same_body)
            if reason:
                continue
            for new_value, old_value in zip(node.outputs, old.outputs, strict=True):
                self._proven.add(new_value, Claim(str(old_value.name)))
            return ""
        return reason

    def _same_body(self, new: ir.Node, old: ir.Node, name: str) -> bool:
        """Prove a body that was folded, as a model whose inputs are what it reads from outside."""
        folded = self._folded.bodies.get((str(old.outputs[0].name), name))
        if folded is None:
            return False
        before, after = (node.attributes[name].as_graph() for node in (old, new))
        outside = read_outside(before)
        stands_for: dict[ir.Value, ir.Value] = {}
        for value in read_outside(after):
            same = next((other for other in outside if self._same(value, other, False)), None)
            if same is None:
                return False
            stands_for[value] = same
        given = self._original, self._constants, self._folded.shapes, outside
        original = alone(before, *given, lambda value: value)
        part = prove(original, replace(folded, model=alone(after, *given, stands_for.__getitem__)))
        for problem in part.problems:
            text = f"has a body {name!r} whose {problem.place!r} {problem.text}"
            self._note(node_name(new), text, differs=problem.differs)
        self._operators += part.operators
        self._in_regions += part.regions
        self._in_bodies += part.constants
        self._worst = max(self._worst, part.worst)
        return part.passed

    def _knows_what_it_reads(self, node: ir.Node) -> bool:
        """Prove that what an operator that is not evaluated reads is what the original reads.

        Another tool may have left out an Identity in front of it.
        """
        if is_known(node, self._original.opset_imports.get("", 0)):
            return False  # a region will tell
        (claim, *_) = (*(c for v in node.outputs for c in self._claims(v)), Claim(""))
        old = self._old[claim.original].producer() if claim.original else None
        if old is None or len(old.inputs) != len(node.inputs):
            return False
        for new_value, old_value in zip(node.inputs, old.inputs, strict=True):
            if new_value is None or old_value is None or self._same(new_value, old_value, False):
                continue
            name = str(old_value.name)
            if self._kept.is_constant(new_value) or name not in self._old:
                return False
            try:
                self._compared(self._regions.of(new_value, Claim(name)))
            except (NoProofError, OutsideError):
                return False
            self._proven.add(new_value, Claim(name))
        return True

    def _prove_claims(self, value: ir.Value, reason: str) -> None:
        """Prove by evaluation what a tensor is claimed to stand for beyond what is proven."""
        for claim in self._claims(value):
            known = self._proven.of(value, claim.original)
            if any(c.is_equality and (claim.is_equality or claim.shape_only) for c in known):
                continue
            try:
                region = self._told(value, claim)
            except (NoProofError, OutsideError) as error:
                self._refused(value, claim, reason, error)
                # The proof has failed; what is behind is held against what was claimed.
                self._proven.add(value, claim)
                continue
            self._in_regions += 1
            self._covered.update(region.new.nodes)
            self._proven.add(value, claim)

    def _told(self, value: ir.Value, claim: Claim) -> Region:
        """The region that tells that a claim is right.

        Raises:
            NoProofError, OutsideError: none does.
        """
        region = self._regions.of(value, claim)
        try:
            self._worst = max(self._worst, self._compared(region))
        except NoProofError as error:
            if error.differs or region.old.sizes:
                raise
            # What is read for its shape alone need not be computed, as a random tensor cannot be.
            try:
                region = self._regions.of(value, claim, to_sizes=True)
            except OutsideError:
                raise error from None
            if not region.old.sizes:
                raise
            self._worst = max(self._worst, self._compared(region))
        return region

    def _compared(self, region: Region) -> float:
        """See `compare_region`; of constants of which no exact numbers are known, nothing is told.

        A model by others may hold them rounded, as a file does.
        """
        try:
            return compare_region(region, self._sources)
        except NoProofError as error:
            strange = [str(v.name) for v in region.new.constants if not self._kept.is_known(v)]
            if not strange or not error.differs:
                raise
            text = f"{error}, with the constant {strange[0]!r}, which the fold does not have"
            raise NoProofError(text, differs=False) from error

    def _refused(self, value: ir.Value, claim: Claim, reason: str, error: Exception) -> None:
        node = value.producer() or self._old[claim.original].producer()
        place = node_name(node) if node is not None else str(value.name)
        if isinstance(error, NoProofError) and error.differs:
            self._note(place, str(error), differs=True)
        elif isinstance(error, NoProofError):
            said = reason or "stands for a norm that is gone"
            self._note(place, f"{said}, and {error}", differs=False)
        else:
            self._note(
                place,
                f"{reason or 'is behind a norm that is gone'}, and the original computes "
                f"{claim.original!r} from another tensor",
                differs=False,
            )
