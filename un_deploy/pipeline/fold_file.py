"""From an ONNX file to the same network without its norms: load, fold, prove, save."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import onnx_ir as ir

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError, VerificationError
from un_deploy.files import check_target
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.model.input_specs import Arrays, Feeds
from un_deploy.graph.model.labels import label_of, node_name
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.graph.model.tensor_storage import require_unchanged
from un_deploy.json_form import JsonForm
from un_deploy.measure.equality.record import Record, Recorder
from un_deploy.measure.equality.report import VerifyReport
from un_deploy.measure.equality.verify import add_second_look, feeds_of, verify_fold
from un_deploy.printed import Part, Printed

LOG = logging.getLogger(__name__)

Path = str | os.PathLike[str]


@dataclass(frozen=True)
class FileReport(JsonForm, Printed):
    """What became of a file.

    Attributes:
        source: the model read.
        target: the model written; None for a dry run.
        fold: what folded where, and what stayed.
        modules: the module that each operator named in `fold` was exported from, as far as the
            file tells.
        verification: the proof; None where it was not asked for.
        record: the files, their SHA-256, when it was done and by what version.
    """

    source: str
    target: str | None
    fold: FoldReport
    modules: Mapping[str, str]
    verification: VerifyReport | None
    version: int = 1
    record: Record | None = None

    def told(self) -> Iterator[Part]:
        """What folded, the proof, and where the file is."""
        yield from self.fold.told(self.modules)
        if self.verification is not None:
            yield from self.verification.told()
        yield f"Wrote {self.target}" if self.target else "Nothing was written (dry run)."
        yield from self.fold.nothing_folded(self.target)

    def json_form(self, given: dict[str, Any]) -> dict[str, Any]:
        """The version comes first."""
        return {"version": self.version, **given}


def fold_file(
    source: Path,
    target: Path | None,
    *,
    keep: Collection[str] = (),
    fold_norm_affine: bool = False,
    require_folded: int | Literal["all"] | None = None,
    verify: bool = True,
    inputs: str | Arrays | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> FileReport:
    """Fold a file; nothing is written unless the proof holds.

    Args:
        target: where the folded one goes; None only for a dry run.
        keep: norms to leave alone, each named by an operator of it, or by its module.
        fold_norm_affine: fold the scale and shift of LayerNormalizations and RMSNorms too, by
            which runtimes recognise those that are written out.
        require_folded: how many norms must be folded at least; "all": none may stay.
        verify: prove the fold before anything is written. The proof needs no inputs.
        inputs: for a second look beside the proof, whole outputs in a runtime: data.npz,
            loader.py:function (which runs as code), or arrays by input name; None: no such look.
        dry_run: fold and prove, write nothing.

    Raises:
        InputError: the source or the inputs cannot be read, or the source changes meanwhile.
        TargetError: the target exists or cannot be written; said before the work and at its end.
        VerificationError: the fold could not be proven; names the place.
        ThresholdError: `require_folded` is not met; nothing is written.
    """
    if not dry_run:
        if target is None:
            raise InputError("a fold that is no dry run needs a target")
        check_target(target, force=force)
    recorder = Recorder(source)
    original, _ = to_ir(source)
    check_weights(original)
    feeds = None if inputs is None else feeds_of(original, inputs)
    folded = fold_graph(to_ir(original)[0], keep=keep, fold_norm_affine=fold_norm_affine)
    if require_folded is not None:
        folded.report.require(require_folded)
    verification = proven(original, folded, feeds) if verify else None
    require_unchanged(original)
    record = recorder.record()
    if not dry_run and target is not None:
        LOG.info("Writing %s", target)
        save_model(folded.model, target, force=force)
        record = record.and_file(target)
    return FileReport(
        source=str(source),
        target=None if dry_run else str(target),
        fold=folded.report,
        modules=modules_of(folded),
        verification=verification,
        record=record,
    )


def proven(
    original: ir.Model, folded: Folded, feeds: Sequence[Feeds] | None = None
) -> VerifyReport:
    """The proof of a fold, with a second look where there are inputs for it.

    Raises:
        VerificationError: it could not be proven; names the place.
    """
    done = folded.report.folded
    what = "scales and shifts" if any(site.kind == "affine" for site in done) else "norms"
    LOG.info("Proving the fold of %d %s", len(done), what)
    report = verify_fold(original, folded)
    try:
        report.require("proven")
    except VerificationError as error:
        raise VerificationError(
            f"{error}; leave the norm there alone with {argument('keep')}, or fold without the "
            f"proof with {argument('verify', False)}, and please report the model"
        ) from error
    return report if feeds is None else add_second_look(report, original, folded.model, feeds)


def modules_of(folded: Folded) -> dict[str, str]:
    """The modules of the operators that absorbed norms or gained a bias, by operator.

    What has none is left out.
    """
    absorbers = {name for site in folded.report.folded for name in site.into}
    absorbers |= {*folded.report.gained_by}
    names = {node_name(node): node for node in folded.model.graph}
    labels = {name: label_of(names[name]) for name in sorted(absorbers & names.keys())}
    return {name: label for name, label in labels.items() if label != name}
