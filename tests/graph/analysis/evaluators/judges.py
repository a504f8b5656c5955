"""Two other implementations of ONNX's operators, and where each of them is known to be wrong.

ONNX Runtime runs with its optimiser off; onnx's own reference evaluator runs everything in numpy.
Neither is always right. Where one is not, that is stated here with the reason, and the other one
judges; a setting that both are wrong about, no one may judge, so it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented

from tests.graph.analysis.evaluators.setting import FLOAT8, Array, Setting

#: Types that numpy does not have, so that ONNX Runtime cannot be fed with them.
NOT_NUMPY = ("bfloat16", "int4", "uint4", *FLOAT8)


def by_onnx_runtime(setting: Setting) -> list[Array] | None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    model = setting.model(stored=NOT_NUMPY).SerializeToString()
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except NotImplemented:  # its own exception: it has no kernel for these types
        return None
    if any(output.type == "tensor(bfloat16)" for output in session.get_outputs()):
        return None
    return list(session.run(None, setting.feeds(stored=NOT_NUMPY)))


def by_reference(setting: Setting) -> list[Array] | None:
    evaluator = ReferenceEvaluator(setting.model())
    with np.errstate(all="ignore"):
        return [np.asarray(array) for array in evaluator.run(None, setting.feeds())]


Judge = Callable[[Setting], list[Array] | None]
JUDGES: Mapping[str, Judge] = {"ONNX Runtime": by_onnx_runtime, "reference": by_reference}


@dataclass(frozen=True)
class Fault:
    """Settings of an operator that a judge gets wrong, or cannot run."""

    judge: str
    reason: str
    holds: Callable[[Setting], bool]
    ops: frozenset[str] = frozenset()


def _fault(judge: str, reason: str, ops: str, holds: Callable[[Setting], bool]) -> Fault:
    return Fault(judge, reason, holds, frozenset(ops.split()))


def _has(name: str) -> Callable[[Setting], bool]:
    return lambda setting: name in setting.attributes


def _several_axes(setting: Setting) -> bool:
    return setting.opset < 13 and len(setting.attributes.get("axes", ())) > 1


def _backwards_from_before_the_start(setting: Setting) -> bool:
    x, starts, _, axes, steps = setting.inputs
    assert x is not None and starts is not None
    axes = np.arange(len(starts)) if axes is None else axes
    return steps is not None and any(
        step < 0 and start < -x.shape[axis]
        for axis, start, step in zip(axes, starts, steps, strict=True)
    )


def _is_padded_by_dilation(setting: Setting) -> bool:
    same = "SAME" in setting.attributes.get("auto_pad", "")
    return same and max(setting.attributes.get("dilations", [1])) > 1


def _cuts_off(setting: Setting) -> bool:
    pads = setting.attributes.get("pads") or setting.inputs[1]
    return min(pads, default=0) < 0


def _picks_from_a_part(setting: Setting) -> bool:
    table, rows = setting.inputs
    assert table is not None and rows is not None
    axis = setting.attributes.get("axis", 0) % table.ndim
    others = zip(table.shape, rows.shape, strict=True)
    part = any(n != m for i, (n, m) in enumerate(others) if i != axis)
    return part or setting.attributes.get("axis", 0) < 0


FAULTS: tuple[Fault, ...] = (
    _fault(
        "ONNX Runtime",
        "it refuses SAME with dilations",
        "Conv",
        _is_padded_by_dilation,
    ),
    _fault(
        "ONNX Runtime",
        "it takes one scale for the whole tensor's, which then has no blocks",
        "DequantizeLinear",
        lambda s: "block_size" in s.attributes and s.inputs[1].shape == (1,),
    ),
    _fault(
        "reference",
        "it mixes up the groups",
        "ConvTranspose",
        lambda s: s.attributes.get("group", 1) > 1,
    ),
    _fault("reference", "it pads by the wrong sizes", "ConvTranspose", _has("output_shape")),
    _fault(
        "reference",
        "it takes the axes one after another, as they stand",
        "Squeeze Unsqueeze",
        _several_axes,
    ),
    _fault("reference", "it divides by a size of 0", "Flatten", lambda s: s.inputs[0].size == 0),
    _fault(
        "reference",
        "an end before the first axis is not cut to it",
        "Shape",
        lambda s: s.attributes.get("end", 0) < -s.inputs[0].ndim,
    ),
    _fault(
        "reference",
        "a start before the first element is not cut to it",
        "Slice",
        lambda s: s.opset >= 10 and _backwards_from_before_the_start(s),
    ),
    _fault(
        "reference",
        "it mixes the batch's own statistics in",
        "BatchNormalization",
        lambda s: s.opset < 14,
    ),
    _fault(
        "reference",
        "it counts other places where windows are dilated, or reach beyond the border",
        "AveragePool",
        lambda s: "dilations" in s.attributes or "ceil_mode" in s.attributes,
    ),
    _fault(
        "reference",
        "it pools images by another way of counting",
        "MaxPool",
        lambda s: True,
    ),
    _fault(
        "reference",
        "it leaves the first of the axes behind the channels as it is",
        "GlobalMaxPool",
        lambda s: s.inputs[0].ndim != 4,
    ),
    _fault("reference", "it does not cut off", "Pad", _cuts_off),
    _fault(
        "reference",
        "it wants as many indices as there are entries, and an axis from the front",
        "GatherElements",
        _picks_from_a_part,
    ),
    _fault("reference", "it has none below opset 11", "Resize Upsample", lambda s: s.opset < 11),
    _fault("reference", "it has none below opset 19", "DequantizeLinear", lambda s: s.opset < 19),
)


def is_known(judge: str, setting: Setting) -> bool:
    """Whether the judge is known to be wrong about this setting."""
    return any(
        fault.judge == judge and (not fault.ops or setting.op in fault.ops) and fault.holds(setting)
        for fault in FAULTS
    )
