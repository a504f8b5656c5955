"""Lists the norms of an ONNX file: which of them fold and where to, and why others do not."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.layernorms import find_layernorms
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.model.input_specs import described
from un_deploy.graph.model.labels import label_of, node_name
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.json_form import JsonForm
from un_deploy.pipeline.fold_file import modules_of

#: Operators other than LayerNormalization that compute their statistics from the data.
_MEASURING = {
    "GroupNormalization",
    "InstanceNormalization",
    "LpNormalization",
    "RMSNormalization",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
}


@dataclass(frozen=True)
class MeasuringNorm:
    """A norm that measures its input at run time, so that no constant can replace it.

    Attributes:
        label: the module it was exported from, as far as the file tells.
        node: its last operator.
        operators: its operators in order: one, or those in which an exporter wrote it out.
    """

    label: str
    node: str
    operators: tuple[str, ...]


@dataclass(frozen=True)
class InspectReport(JsonForm):
    """What is in a file.

    Attributes:
        producer: the program that wrote it.
        inputs, outputs: names, types and shapes, as text.
        operators: how many of each kind, the most frequent first.
        measuring: norms that cannot be folded, since they measure their input.
        fold: what a fold would do.
        modules: the module that each operator named in `fold` was exported from.
    """

    source: str
    opset: int
    producer: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: Mapping[str, int]
    measuring: tuple[MeasuringNorm, ...]
    fold: FoldReport
    modules: Mapping[str, str]
    version: int = 1


def inspect_file(source: str | os.PathLike[str], *, keep: Collection[str] = ()) -> InspectReport:
    """Fold in memory and report; nothing is written or proven.

    Raises:
        InputError: the file cannot be read.
    """
    model, _ = to_ir(source)
    check_weights(model)
    counts = Counter(node.op_type for node in model.graph)
    measuring = tuple(_measuring(model))
    inputs = tuple(described(model, v) for v in model.graph.inputs if not v.is_initializer())
    outputs = tuple(described(model, value) for value in model.graph.outputs)
    folded = fold_graph(model, keep=keep)
    return InspectReport(
        source=str(source),
        opset=model.opset_imports[""],
        producer=" ".join(filter(None, (model.producer_name, model.producer_version))),
        inputs=inputs,
        outputs=outputs,
        operators=dict(counts.most_common()),
        measuring=measuring,
        fold=folded.report,
        modules=modules_of(folded),
    )


def _measuring(model: ir.Model) -> Iterator[MeasuringNorm]:
    shapes = Shapes(model)
    norms = find_layernorms(model.graph, Constants(model, shapes), shapes)
    runs = [norm.nodes for norm in norms]
    runs += [(node,) for node in model.graph if node.op_type in _MEASURING]
    for nodes in runs:
        operators = tuple(node.op_type for node in nodes)
        yield MeasuringNorm(label_of(nodes[0]), node_name(nodes[-1]), operators)
