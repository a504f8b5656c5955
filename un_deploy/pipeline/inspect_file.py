"""Lists the norms of an ONNX file: which of them fold and where to, and why others do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from un_deploy.arguments.check import checked
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.model.input_specs import described
from un_deploy.graph.model.model_kinds import name_of, to_ir
from un_deploy.json_form import JsonForm
from un_deploy.pipeline.fold_file import modules_of
from un_deploy.printed import Part, Printed, Table


@dataclass(frozen=True)
class InspectReport(JsonForm, Printed):
    """What is in a file.

    Attributes:
        producer: the program that wrote it.
        inputs, outputs: names, types and shapes, as text.
        operators: how many of each kind, the most frequent first.
        fold: what a fold would do.
        modules: the module that each operator named in `fold` was exported from.
    """

    source: str
    opset: int
    producer: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: Mapping[str, int]
    fold: FoldReport
    modules: Mapping[str, str]
    version: int = 2

    def told(self) -> Iterator[Part]:
        """What the file is, and what a fold would do."""
        written = f", written by {self.producer}" if self.producer else ""
        yield f"{self.source}: opset {self.opset}{written}"
        for kind, ends in (("input", self.inputs), ("output", self.outputs)):
            yield from (f"{kind:6} {end}" for end in ends)
        counts = ", ".join(f"{count} {kind}" for kind, count in self.operators.items())
        yield f"operators: {counts}"
        if self.fold.measuring:
            yield "Norms that measure their input at run time, and so stay:"
            rows = [(norm.label, " ".join(norm.operators)) for norm in self.fold.measuring]
            yield Table(("norm", "operators"), rows)
        yield from self.fold.told(self.modules, planned=True)


@checked
def inspect_file(source: Any, *, keep: Collection[str] = ()) -> InspectReport:
    """Fold in memory and report; nothing is written or proven.

    Args:
        source: a path, an onnx.ModelProto, an onnx_ir.Model or an onnx_graphsurgeon.Graph.
        keep: norms that a fold would leave alone; see `un_deploy.fold`.

    Raises:
        InputError: the model cannot be read, or a name in `keep` is no norm.
    """
    model, _ = to_ir(source)
    check_weights(model)
    counts = Counter(node.op_type for node in model.graph)
    inputs = tuple(described(model, v) for v in model.graph.inputs if not v.is_initializer())
    outputs = tuple(described(model, value) for value in model.graph.outputs)
    folded = fold_graph(model, keep=keep)
    return InspectReport(
        source=name_of(source),
        opset=model.opset_imports[""],
        producer=" ".join(filter(None, (model.producer_name, model.producer_version))),
        inputs=inputs,
        outputs=outputs,
        operators=dict(counts.most_common()),
        fold=folded.report,
        modules=modules_of(folded),
    )
