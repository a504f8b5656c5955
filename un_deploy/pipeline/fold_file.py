"""From an ONNX file to the same network without its norms: load, fold, verify, save."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.files import check_target
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.graph.model.labels import label_of, node_name
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.json_form import JsonForm
from un_deploy.measure.equality.verify import VerifyReport, feeds_of, verify_fold

Path = str | os.PathLike[str]


@dataclass(frozen=True)
class FileReport(JsonForm):
    """What became of a file.

    Attributes:
        source: the model read.
        target: the model written; None for a dry run.
        fold: what folded where, and what stayed.
        modules: the module that each operator named in `fold` was exported from, as far as the
            file tells.
        verification: the proof; None where it was not asked for.
    """

    source: str
    target: str | None
    fold: FoldReport
    modules: Mapping[str, str]
    verification: VerifyReport | None
    version: int = 1

    def json_form(self, given: dict[str, Any]) -> dict[str, Any]:
        """The version comes first."""
        return {"version": self.version, **given}


def fold_file(
    source: Path,
    target: Path | None,
    *,
    keep: Collection[str] = (),
    verify: bool = True,
    inputs: str | Feeds | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> FileReport:
    """Fold a file; nothing is written unless the proof holds.

    Args:
        target: where the folded one goes; None only for a dry run.
        keep: norms to leave alone, each named by an operator of it, or by its module.
        inputs: what to prove it on: data.npz, loader.py:function (which runs as code), or arrays
            by input name; None: random ones in valid ranges.
        dry_run: fold and prove, write nothing.

    Raises:
        InputError: the source or the inputs cannot be read, or an operator cannot be verified.
        TargetError: the target exists or cannot be written; said before the work and at its end.
        VerificationError: the folded graph is not equal to the original.
    """
    if not dry_run:
        if target is None:
            raise InputError("a fold that is no dry run needs a target")
        check_target(target, force=force)
    original, _ = to_ir(source)
    check_weights(original)
    feeds = feeds_of(original, inputs) if verify else None
    folded, verification = fold_and_verify(original, feeds, keep=keep)
    if not dry_run and target is not None:
        save_model(folded.model, target, force=force)
    return FileReport(
        source=str(source),
        target=None if dry_run else str(target),
        fold=folded.report,
        modules=modules_of(folded),
        verification=verification,
    )


def fold_and_verify(
    original: ir.Model, feeds: Sequence[Feeds] | None, *, keep: Collection[str] = ()
) -> tuple[Folded, VerifyReport | None]:
    """Fold a copy of a model, and prove it on these inputs where there are any.

    Raises:
        InputError: an operator cannot be run in float64.
        VerificationError: the folded graph is not equal to the original.
    """
    folded = fold_graph(to_ir(original)[0], keep=keep)
    if feeds is None:
        return folded, None
    try:
        report = verify_fold(original, folded, feeds)
    except InputError as error:
        raise InputError(
            f"{error}; --inputs runs it on others, --no-verify folds without this proof"
        ) from error
    report.require()
    return folded, report


def modules_of(folded: Folded) -> dict[str, str]:
    """The modules of the operators that absorbed norms, by operator; what has none is left out."""
    absorbers = {name for site in folded.report.folded for name in site.into}
    names = {node_name(node): node for node in folded.model.graph}
    labels = {name: label_of(names[name]) for name in sorted(absorbers & names.keys())}
    return {name: label for name, label in labels.items() if label != name}
