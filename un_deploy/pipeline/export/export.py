"""The whole export: from a PyTorch model to an ONNX file without its norms, proven equal.

Load, export, compare with PyTorch, fold, verify, save. Nothing is written unless all of it passed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from un_deploy.arguments.check import checked, shown
from un_deploy.arguments.exclusive import refuse_without_fold
from un_deploy.arguments.names import argument
from un_deploy.errors import InputError, needs
from un_deploy.files import check_target
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.model.input_specs import Arrays
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.json_form import JsonForm
from un_deploy.measure.equality.inputs import check_inputs, load_inputs
from un_deploy.measure.equality.report import VerifyReport
from un_deploy.pipeline.export.check_export import check_export
from un_deploy.pipeline.export.forward import (
    Axes,
    as_tensors,
    declared_axes,
    example_inputs,
    more_axes,
)
from un_deploy.pipeline.export.model_spec import load_module
from un_deploy.pipeline.export.norm_names import Norm
from un_deploy.pipeline.export.parts import part_of
from un_deploy.pipeline.export.torch_to_onnx import Exporter, check_opset, to_onnx
from un_deploy.pipeline.fold_file import modules_of, proven
from un_deploy.printed import Part, Printed, Words

if TYPE_CHECKING:
    from torch import nn


LOG = logging.getLogger(__name__)

TIMES_ALONE = "so it gives times, not answers"
"""What follows where weights or statistics were never trained."""


@dataclass(frozen=True)
class ExportReport(JsonForm, Printed):
    """What became of a network.

    Attributes:
        model: its spec, or its class.
        target: the file written.
        exporter, opset: how it was exported.
        operators: the number of operators in the file.
        difference: max |graph - PyTorch| / max |PyTorch|, of the graph before the fold.
        fold: what folded where, and what stayed; None where no fold was asked for.
        modules: the module that each operator named in `fold` was exported from.
        verification: the proof of the fold; None where there is no fold or no proof was asked for.
        notes: what the reader of the file must know: that statistics were never updated.
    """

    model: str
    target: str
    exporter: Exporter
    opset: int
    operators: int
    difference: float
    fold: FoldReport | None
    modules: Mapping[str, str]
    verification: VerifyReport | None
    notes: tuple[str, ...] = ()
    version: int = 1

    def told(self) -> Iterator[Part]:
        """What was exported, what folded, the proof, where the file is, and what it is not."""
        yield (
            f"Exported by {self.exporter} with opset {self.opset}; differs from PyTorch by "
            f"{self.difference:.1e} of the largest output."
        )
        if self.fold is not None:
            yield from self.fold.told(self.modules)
        if self.verification is not None:
            yield from self.verification.told()
        yield f"Wrote {self.target}"
        if self.fold is not None:
            yield from self.fold.nothing_folded(self.target)
        for note in self.notes:
            yield Words(f"{self.target}: {note}.", "bad")


@checked
def export(
    model: nn.Module | str,
    target: str | os.PathLike[str],
    *,
    norm: Norm | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    part: str | None = None,
    inputs: str | Arrays | None = None,
    opset: int = 20,
    exporter: Exporter = "dynamo",
    fold: bool = True,
    verify: bool = True,
    untrained: bool = False,
    keep: Collection[str] = (),
    fold_norm_affine: bool = False,
    require_folded: int | Literal["all"] | None = None,
    force: bool = False,
    dynamic: bool = True,
    dynamic_axes: Axes | None = None,
) -> ExportReport:
    """Export a network to ONNX and fold its norms.

    Args:
        model: a module, or a spec: ``FILE.py:factory``, ``package.module:factory``,
            ``timm:NAME[,num_classes=10,...]`` or a Hugging Face folder; the Python behind a spec
            runs as code, but for that of a folder.
        norm: of a spec: build it with this norm: "ln", "rms", "bn", "un", "dyt", "derf" or "none".
        checkpoint: of a spec: its weights.
        part: of a model that runs in parts, such as encoder, first and step, the one to export: of
            its own method ``parts()``, or of a transformers model that generates text.
        inputs: to trace with and to compare on, before the fold and behind it: data.npz,
            loader.py:function (runs as code), or arrays by input name; None: the model's own
            ``example_inputs()``, for the first of these comparisons alone.
        exporter: "dynamo" (through torch.export) or "torchscript".
        fold: merge the norms into the linear operators.
        verify: prove the fold before writing, for all inputs. PyTorch is compared with in any
            case.
        untrained: accept Unified Normalizations whose statistics were never updated, and say in
            the report's notes that the file gives times, not answers.
        keep: norms to leave alone, each named by an operator of it, or by its module.
        fold_norm_affine: fold the scale and shift of LayerNormalizations and RMSNorms too, by
            which runtimes recognise those that are written out.
        require_folded: how many norms must be folded at least; "all": none may stay.
        dynamic: leave the dimensions that the model declares (else the batch) open.
        dynamic_axes: dimensions to leave open besides: input name -> {axis: name of the dimension}.

    Raises:
        InputError: the model, the checkpoint or the inputs cannot be read or do not fit, there is
            no such part, the opset is not to be had, a weight is NaN.
        UntrainedError: a Unified Normalization was never trained.
        TargetError: the target exists or cannot be written; said before the work and at its end.
        VerificationError: the graph is not equal to PyTorch, or the fold could not be proven.
        ThresholdError: `require_folded` is not met; nothing is written.
        MissingPackageError: torch or onnxscript is not installed.
    """
    refuse_without_fold(
        fold, keep=tuple(keep), fold_norm_affine=fold_norm_affine, require_folded=require_folded
    )
    check_opset(opset, exporter)
    check_target(target, force=force)
    with needs("torch"):
        module = _module(model, norm, checkpoint, untrained)
        from un_deploy.nn.networks.checkpoint import never_updated
    never = never_updated(module)
    if part is not None:
        module = part_of(module, part)
    batches = _batches(module, inputs)
    tensors = as_tensors(batches[0])
    declared = declared_axes(module, tensors) if dynamic else {}
    axes = more_axes(declared, dynamic_axes or {})
    graph = to_onnx(module, tensors, dynamic_axes=axes, opset=opset, exporter=exporter)
    check_weights(graph)
    LOG.info("Comparing the graph with PyTorch")
    difference = check_export(module, graph, tensors)
    report = modules = proof = None
    if fold:
        feeds = None if inputs is None else check_inputs(batches, graph)
        LOG.info("Folding")
        folded = fold_graph(to_ir(graph)[0], keep=keep, fold_norm_affine=fold_norm_affine)
        if require_folded is not None:
            folded.report.require(require_folded)
        proof = proven(graph, folded, feeds) if verify else None
        graph, report, modules = folded.model, folded.report, modules_of(folded)
    LOG.info("Writing %s", target)
    save_model(graph, target, force=force)
    return ExportReport(
        model=model if isinstance(model, str) else type(model).__name__,
        target=str(target),
        exporter=exporter,
        opset=opset,
        operators=len(graph.graph),
        difference=difference,
        fold=report,
        modules=modules or {},
        verification=proof,
        notes=(f"{never}, {TIMES_ALONE}",) if never else (),
    )


def _module(
    model: nn.Module | str,
    norm: Norm | None,
    checkpoint: str | os.PathLike[str] | None,
    untrained: bool,
) -> nn.Module:
    if isinstance(model, str):
        path = None if checkpoint is None else Path(checkpoint)
        return load_module(model, norm=norm, checkpoint=path, untrained=untrained)
    if norm is not None or checkpoint is not None:
        raise InputError(
            "norm and checkpoint are for a model spec; use convert_norms and load_checkpoint of "
            "un_deploy.nn on a module"
        )
    from torch import nn

    from un_deploy.nn import require_trained

    if not isinstance(model, nn.Module):
        raise InputError(f"a model is a torch.nn.Module or a spec, not {shown(model)}")
    if not untrained:
        require_trained(model)
    return model


def _batches(module: nn.Module, inputs: str | Arrays | None) -> list[dict[str, np.ndarray]]:
    """The inputs of each run, as given; there is no graph yet to check them against."""
    given: list[Mapping[str, Any]]
    if inputs is None:
        given = [example_inputs(module)]
    elif isinstance(inputs, str):
        given = load_inputs(inputs)
    else:
        given = [inputs]
    return [{name: _array(name, value) for name, value in batch.items()} for batch in given]


def _array(name: str, value: Any) -> np.ndarray:
    """An input as an array; a cache is none, whatever class it has."""
    try:
        array = np.asarray(value)
        if array.dtype.kind in "OSU" or name == "past_key_values":
            raise TypeError("no numbers")
    except Exception as error:
        cache = name == "past_key_values" or "Cache" in type(value).__name__
        cure = "give an array"
        if cache:
            cure = f"leave it out: only {argument('part')} exports a cache, as tensors"
        raise InputError(f"input {name} is {shown(value)}: {cure}") from error
    return array
