"""From a model in memory to the same network without its norms, as Python has it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, overload

import onnx_ir as ir

from un_deploy.arguments.check import checked
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.model.model_kinds import InMemory, Path, to_ir
from un_deploy.pipeline.fold_file import modules_of, proven


@overload
def fold(
    model: InMemory,
    *,
    keep: Collection[str] = (),
    fold_norm_affine: bool = False,
    verify: bool = True,
) -> tuple[InMemory, FoldReport]: ...


@overload
def fold(
    model: Path,
    *,
    keep: Collection[str] = (),
    fold_norm_affine: bool = False,
    verify: bool = True,
) -> tuple[ir.Model, FoldReport]: ...


@checked
def fold(
    model: Any,
    *,
    keep: Collection[str] = (),
    fold_norm_affine: bool = False,
    verify: bool = True,
) -> tuple[Any, FoldReport]:
    """Merge every scale and shift that can be merged into the linear operators around it.

    Args:
        model: a path, an onnx.ModelProto, an onnx_ir.Model or an onnx_graphsurgeon.Graph. It is
            not changed.
        keep: norms to leave alone, each named by an operator of it, or by its module.
        fold_norm_affine: fold the scale and shift of LayerNormalizations and RMSNorms too, by
            which runtimes recognise those that are written out.
        verify: prove the fold, for all inputs, before it is given out.

    Returns:
        The folded model, of the same kind (an onnx_ir.Model for a path), and the report,
        which says whether it is proven. `un_deploy.save` writes it to a file.

    Raises:
        InputError: the model cannot be read, holds NaN or Inf, or a name in `keep` is no norm.
        VerificationError: the fold could not be proven; names the place.
    """
    original, restore = to_ir(model)
    check_weights(original)
    folded = fold_graph(to_ir(original)[0], keep=keep, fold_norm_affine=fold_norm_affine)
    if verify:
        proven(original, folded)
    report = replace(folded.report, modules=modules_of(folded), proven=verify)
    return restore(folded.model), report
