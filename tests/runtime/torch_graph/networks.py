"""The recipe networks as these tests run them: every writing of the norm, every export."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal, get_args

import numpy as np
import onnx_ir as ir
from torch import nn

from models.bert import bert_micro
from models.vit import vit_micro
from tests.end_to_end.cases import Case
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.pipeline.export.torch_to_onnx import Exporter
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

Factory = Callable[..., nn.Module]

Kind = Literal["ln", "un", "released", "folded", "none"]
KINDS: tuple[Kind, ...] = get_args(Kind)

EXPORTS: tuple[tuple[Exporter, bool], ...] = tuple(
    (exporter, dynamic) for exporter in get_args(Exporter) for dynamic in (False, True)
)
"""Each exporter, and whether the sizes of the inputs are left open."""

MICRO: tuple[Factory, ...] = (vit_micro, bert_micro)


@cache
def graph_of(factory: Factory, kind: Kind, exporter: Exporter, dynamic: bool) -> ir.Model:
    """A small network's graph; the kinds share their weights."""
    if kind == "folded":
        return fold_graph(graph_of(factory, "un", exporter, dynamic).clone()).model
    return Case(factory, kind, exporter, dynamic).original


@cache
def reference(factory: Factory, kind: Kind, exporter: Exporter, dynamic: bool) -> np.ndarray:
    """What ONNX Runtime makes of a small network's graph."""
    model = graph_of(factory, kind, exporter, dynamic)
    (output,) = OnnxRuntime(threads=1).load(model).run(feeds_of(factory)).values()
    return output


def feeds_of(factory: Factory) -> dict[str, np.ndarray]:
    """Inputs of a network's kind, in its one batch size."""
    return Case(factory, "un", "dynamo", False).feeds(1)[0]
