"""The variants of one network for a comparison: given, exported, or derived from one another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from un_deploy.engines.plan.manifest import file_sha256
from un_deploy.errors import InputError
from un_deploy.free_memory import give_back
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.norms.find_norms import find_norms, is_layernorm
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.model.input_specs import Arrays, TensorSpec, input_specs
from un_deploy.graph.model.labels import label_of
from un_deploy.graph.model.model_file import has_external, hold_weights, load_model, save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.graph.model.tensor_storage import forget_weights
from un_deploy.graph.strip.layernorm_operator import use_operator
from un_deploy.graph.strip.strip import strip_graph
from un_deploy.measure.equality.inputs import check_inputs, random_inputs, read_inputs
from un_deploy.measure.equality.outputs import signature_problems
from un_deploy.measure.equality.record import Called
from un_deploy.measure.speed.variant import BASELINES, TITLES, Kind, StayingNorm, Variant
from un_deploy.pipeline.compare.check_folded import check_folded
from un_deploy.pipeline.compare.given_plans import GivenPlan, usual_sizes
from un_deploy.pipeline.compare.remarks import some_quantised
from un_deploy.pipeline.compare.together import refuse_keep
from un_deploy.pipeline.export.export import TIMES_ALONE, export
from un_deploy.pipeline.export.model_spec import is_folder
from un_deploy.pipeline.export.norm_names import Norm
from un_deploy.pipeline.fold_file import proven
from un_deploy.runtime.backends import backend_named
from un_deploy.runtime.settings import Fusions, RunSettings

_OF_NORM: dict[Norm, Kind] = {
    "ln": "ln",
    "un": "unfolded",
    "none": "none",
    "rms": "rms",
    "bn": "bn",
    "dyt": "dyt",
    "derf": "derf",
}


@dataclass
class Network:
    """One network in its variants, each in a file.

    Attributes:
        folder: for the files that are not there yet.
        settings: what they are for: the backend decides which forms of LN there are.
        models: what there is as a graph.
        plans: what there is as a plan, of which nothing is derived.
        variants: the same, and the forms of LN, as files.
        missing: what there is not, and why.
        notes: what the reader must know.
        gained_biases: of the fold: outputs of linear operators that had no bias before; by their
            names in no norm where that is derived.
        staying: the norms in each variant that measure their input, of those that are a graph.
    """

    folder: Path
    settings: RunSettings
    models: dict[Kind, ir.Model] = field(default_factory=dict)
    plans: dict[Kind, GivenPlan] = field(default_factory=dict)
    variants: list[Variant] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    gained_biases: tuple[str, ...] = ()
    staying: dict[Kind, tuple[StayingNorm, ...]] = field(default_factory=dict)

    def read(self, kind: Kind, path: Path, source: str = "") -> None:
        """Take a file as it is, if it is as a derived one would be: one file, without functions.

        How a runtime holds weights follows from how they are stored, and must be alike for all.

        Raises:
            InputError: it cannot be read.
        """
        model = load_model(path)
        file = None if model.functions or has_external(model) else path.absolute()
        model = to_ir(model)[0] if model.functions else model
        self._add(kind, model, source or str(path), file=file)

    def take(self, kind: Kind, plan: GivenPlan) -> None:
        """Take a plan as a variant."""
        self.plans[kind] = plan
        path = str(plan.path)
        made = plan.manifest
        self.variants.append(
            Variant(kind, path, path, False, None, plan_bytes=made.bytes, sha256=made.sha256)
        )

    def export(self, spec: str, norm: Norm, **settings: Any) -> None:
        """Export a model spec with a norm; compared with PyTorch on the way.

        Args:
            settings: checkpoint, inputs, dynamic, dynamic_axes and exporter of `un_deploy.export`.

        Raises:
            InputError, VerificationError, MissingPackageError: see `un_deploy.export`.
        """
        path = self.folder / f"exported_{norm}.onnx"
        made = export(spec, path, norm=norm, fold=False, untrained=True, **settings)
        what, checkpoint = f"{spec} with {norm}", settings["checkpoint"]
        if checkpoint is None and not is_folder(spec):
            self.notes.append(f"{what} has random weights, {TIMES_ALONE}")
        else:
            if checkpoint is None:
                learnt = "its folder's weights, whichever norm they learnt with"
                self.notes.append(f"{what} has {learnt}")
            self.notes += [f"{what}: {note}" for note in made.notes]
        self.read(_OF_NORM[norm], path, what)

    def derive(
        self, keep: Collection[str] = (), inputs: str | Arrays | None = None, seed: int = 0
    ) -> None:
        """Fold what is not folded yet, take the norms out, and say what is missing.

        Args:
            keep: norms that the fold leaves alone.
            inputs, seed: for a pair of files that is no network and its fold; see
                `un_deploy.verify`.

        Raises:
            InputError: nothing folds, fewer than two variants are to be had, or the inputs do
                not fit.
            VerificationError: the folded graph is not equal to the unfolded one.
        """
        unfolded, folded = self.models.get("unfolded"), self.models.get("folded")
        report = None
        if keep and unfolded is None:
            refuse_keep()
        if unfolded is not None:
            made = fold_graph(to_ir(unfolded)[0], keep=keep)
            if not self._has("folded"):
                proven(unfolded, made)
            report = made.report
            self.gained_biases = report.gained_biases
            if folded is not None:
                files = self._source("unfolded"), self._source("folded")
                check_folded(unfolded, folded, report, files, inputs=inputs, seed=seed, keep=keep)
            elif not report.folded:
                raise InputError(
                    f"nothing folds in UN unfolded ({self._source('unfolded')}): un-deploy inspect "
                    "says why"
                )
            elif "folded" not in self.plans:
                self._add("folded", made.model, "un-deploy fold of UN unfolded", derived=True)
            for site in report.stayed if "folded" in self.models else ():
                self.notes.append(f"the norm {site.label} stays in UN folded: {site.reason}")
        elif folded is not None:
            self.notes.append(
                "UN folded is timed as given: there is no unfolded graph to prove it by"
            )
        self.notes += some_quantised(self.models)
        if not self._has("none"):
            self._strip(report)
        for kind in TITLES:
            if not self._has(kind) and kind not in BASELINES:
                self.missing[kind] = self._why_missing(kind)
        have = [TITLES[kind] for kind in TITLES if self._has(kind)]
        if len(have) < 2:
            only = have[0] if have else "none"
            raise InputError(f"a comparison takes two variants at least; there is only {only}")

    def _source(self, kind: Kind) -> str:
        return next(one.source for one in self.variants if one.kind == kind)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What every variant takes."""
        first = next(iter((*self.models.values(), *(one.graph for one in self.plans.values()))))
        return input_specs(first)

    @property
    def open_sizes(self) -> list[str]:
        """The names of the inputs' dynamic dimensions."""
        shapes = (spec.shape or () for spec in self.inputs)
        return list(dict.fromkeys(dim for shape in shapes for dim in shape if isinstance(dim, str)))

    def feeds(
        self, inputs: str | Arrays | None, dims: Mapping[str, int] | None, seed: int
    ) -> dict[str, np.ndarray]:
        """One set of inputs for all variants; see `un_deploy.pipeline.compare.compare.compare`.

        Raises:
            InputError: the variants take different inputs, or these do not fit.
        """
        graphs = {**self.models, **{kind: plan.graph for kind, plan in self.plans.items()}}
        (kind, first), *others = graphs.items()
        for other, model in others:
            called = Called(TITLES[kind], TITLES[other], TITLES["folded"])
            if problems := signature_problems(first, model, called):
                problem = problems[0].text
                raise InputError(f"{TITLES[other]} is not {TITLES[kind]}'s network: {problem}")
        found = self._feeds(first, inputs, dims, seed)
        for plan in self.plans.values():
            plan.check_sizes(found)
        return found

    def _feeds(
        self,
        graph: ir.Model,
        inputs: str | Arrays | None,
        dims: Mapping[str, int] | None,
        seed: int,
    ) -> dict[str, np.ndarray]:
        if inputs is None:
            plan = next(iter(self.plans.values()), None)
            usual = usual_sizes(plan.manifest, plan.graph) if plan else {}
            open_ = {dim for spec in input_specs(graph) for dim in spec.shape or ()}
            sizes = {name: size for name, size in usual.items() if name in open_}
            return random_inputs(graph, seed=seed, dims={**sizes, **(dims or {})})
        if isinstance(inputs, str):
            return read_inputs(inputs, graph)[0]
        return check_inputs([inputs], graph)[0]

    def forget_weights(self) -> None:
        """Keep weights in the variants' files alone, and not in memory while these are timed."""
        for model in self.models.values():
            forget_weights(model)
        give_back()

    def _has(self, kind: Kind) -> bool:
        return kind in self.models or kind in self.plans

    def _why_missing(self, kind: Kind) -> str:
        if self.plans and kind in ("folded", "none"):
            return "not given, and not to be had from plans"
        if kind in ("unfolded", "none") and "folded" in self.models:
            return "not to be had from a folded file"
        return "not given"

    def _strip(self, report: FoldReport | None) -> None:
        """Take out of UN the norms that the fold removed, else what is LN by its structure."""
        names = [site.node for site in report.folded] if report is not None else None
        source: Kind = "ln" if names is None else "unfolded"
        if source not in self.models:
            return
        model = to_ir(self.models[source])[0]
        gaining = [node for node in model.graph if node.outputs[0].name in self.gained_biases]
        if strip_graph(model, nodes=names).stripped:
            # Behind a linear operator a norm may write an output of the graph: its name moves.
            self.gained_biases = tuple(str(node.outputs[0].name) for node in gaining)
            self._add("none", model, f"un-deploy strip of {TITLES[source]}", derived=True)

    def _add(
        self,
        kind: Kind,
        model: ir.Model,
        source: str,
        *,
        derived: bool = False,
        file: Path | None = None,
    ) -> None:
        check_weights(model)
        hold_weights(model)
        self.models[kind] = model
        file = file or self._save(kind, model)
        self._enter(kind, file, model, source, derived)
        if kind not in BASELINES:
            self._add_forms(kind, file, model, source, derived)
        if kind in BASELINES:
            self._add_folded(kind, model)

    def _add_folded(self, kind: Kind, model: ir.Model) -> None:
        """Add a baseline without what un-deploy can fold of it, if there is such: it may count."""
        made = fold_graph(to_ir(model)[0], fold_norm_affine=True)
        if made.report.folded:
            proven(model, made)
            file = self._save(kind, made.model)
            source = f"un-deploy fold of {TITLES[kind]}"
            self._enter(kind, file, made.model, source, True, "folded")

    def _add_forms(
        self, kind: Kind, file: Path, model: ir.Model, source: str, derived: bool
    ) -> None:
        """Add the other forms of LN that the backend can run; the fastest will count.

        Of UN and of no norm too, where LayerNorms stay in it: else LN alone would be at its best.
        """
        shapes = Shapes(model)
        norms = find_norms(model.graph, Constants(model, shapes), shapes)
        told = (StayingNorm(norm.kind, label_of(norm.nodes[0])) for norm in norms)
        self.staying[kind] = tuple(told)
        found = [norm for norm in norms if is_layernorm(norm)]
        if kind != "ln" and not found:
            return
        in_parts = any(len(norm.nodes) > 1 for norm in found)
        if backend_named(self.settings.backend).has_fusions:
            fused = "no SkipLayerNormalization"
            self._enter(kind, file, model, source, derived, fused, "no-skip-norm")
            if in_parts:
                in_their_parts = "norms in their parts"
                self._enter(kind, file, model, source, derived, in_their_parts, "no-norm")
        if in_parts:
            changed = to_ir(model)[0]
            if use_operator(changed):
                file = self._save(kind, changed)
                self._enter(kind, file, changed, source, True, "LayerNormalization operator")

    def _save(self, kind: Kind, model: ir.Model) -> Path:
        path = self.folder / f"{len(self.variants)}_{kind}.onnx"
        save_model(model, path)
        return path

    def _enter(
        self,
        kind: Kind,
        file: Path,
        model: ir.Model,
        source: str,
        derived: bool,
        form: str = "",
        fusions: Fusions = "all",
    ) -> None:
        same = (one.sha256 for one in self.variants if one.model == str(file))
        told = Variant(kind, str(file), source, derived, len(model.graph), form, fusions)
        self.variants.append(replace(told, sha256=next(same, "") or file_sha256(file)))
