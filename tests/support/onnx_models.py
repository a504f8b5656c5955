"""The small models that the onnx package ships for its own tests, and what is fed to them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.version_converter

from un_deploy.graph.model.mend import OLDEST_OPSET

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
GROUPS = ("simple", "pytorch-operator", "pytorch-converted", "light")

Weights = Literal["as shipped", "constant", "drawn"]
WEIGHTS: tuple[Weights, ...] = get_args(Weights)
"""Most of these models let the caller override every weight, and then no norm is constant; made
constant they fold. The light ones are well-known networks, whose weights are made by operators:
one number everywhere. Drawn, they are weights like others, as many bytes as the number says."""

Arrays = dict[str, Any]

_LOCALE = "needs the locale en_US.UTF-8"
_SLOPE = "below opset 7 a slope had an entry a channel; converted it means something else"
NOT_RUN = {
    "simple/gradient_of_add": "Gradient is an operator for training",
    "simple/gradient_of_add_and_mul": "Gradient is an operator for training",
    "simple/strnorm_model_monday_casesensintive_lower": _LOCALE,
    "simple/strnorm_model_monday_casesensintive_upper": _LOCALE,
    "simple/strnorm_model_monday_empty_output": _LOCALE,
    "simple/strnorm_model_monday_insensintive_upper_twodim": _LOCALE,
    "pytorch-converted/PReLU_1d_multiparam": _SLOPE,
    "pytorch-converted/PReLU_2d_multiparam": _SLOPE,
    "pytorch-converted/PReLU_3d_multiparam": _SLOPE,
}
"""What ONNX Runtime cannot run, folded or not, and why."""


def shipped(*groups: str) -> list[Path]:
    """The files of some of `GROUPS`."""
    return [path for group in groups for path in sorted((DATA / group).rglob("*.onnx"))]


def name_of(path: Path) -> str:
    """light/densenet121, simple/sequence_model1."""
    group, name = path.relative_to(DATA).with_suffix("").parts[:2]
    return f"{group}/{name.removeprefix('light_').removeprefix('test_')}"


def load(path: Path, weights: Weights = "as shipped") -> onnx.ModelProto:
    """One of the models, converted to the oldest opset that folds where it is older.

    Raises:
        RuntimeError: onnx cannot convert it.
    """
    model = onnx.load(path)
    (opset,) = [entry.version for entry in model.opset_import if entry.domain == ""]
    if opset < OLDEST_OPSET:
        model = onnx.version_converter.convert_version(model, OLDEST_OPSET)
    if weights != "as shipped":
        held = {tensor.name for tensor in model.graph.initializer}
        free = [value for value in model.graph.input if value.name not in held]
        del model.graph.input[:]
        model.graph.input.extend(free)
        model.ir_version = 8  # before 4 every initializer had to be an input
    if weights == "drawn":
        _draw_weights(model)
        _end_before_softmax(model)
    return model


def difference(path: Path, model: onnx.ModelProto, folded: onnx.ModelProto) -> float:
    """`largest_difference` of all outputs in ONNX Runtime, not optimised."""
    given = feeds(path, model)
    before, after = (
        plain_session(one.SerializeToString()).run(None, given) for one in (model, folded)
    )
    return largest_difference(after, before)


def plain_session(model: bytes | str) -> Any:
    """A session of ONNX Runtime that changes nothing; of a model's bytes, or of its path."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def feeds(path: Path, model: onnx.ModelProto) -> Arrays:
    """The inputs that came with a model, for those that it still has; else drawn images."""
    held = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in held]
    given = sorted(path.parent.glob("test_data_set_0/input_*.pb"))
    if not given:
        rng = np.random.default_rng(0)
        return {v.name: rng.standard_normal(_sizes(v)).astype(np.float32) for v in inputs}
    files = zip(model.graph.input, given, strict=False)
    return {v.name: _read(v, file.read_bytes()) for v, file in files if v in inputs}


def largest_difference(got: Iterable[Any], wanted: Iterable[Any]) -> float:
    """max |got - wanted| / max |wanted| over all arrays, or lists of arrays.

    It is infinite where they differ in shape or type, or in what is not finite.
    """
    worst = 0.0
    for a, b in zip(got, wanted, strict=True):
        if isinstance(b, list):
            worst = max(worst, largest_difference(a, b))
            continue
        first, second = np.asarray(a), np.asarray(b)
        if first.shape != second.shape or first.dtype != second.dtype:
            return float("inf")
        if first.dtype.kind != "f":
            worst = worst if np.array_equal(first, second) else float("inf")
            continue
        if not np.array_equal(np.isfinite(first), np.isfinite(second)):
            return float("inf")
        finite = np.isfinite(second)
        error = np.abs(first[finite] - second[finite])
        scale = float(np.max(np.abs(second[finite]), initial=0)) or 1.0
        worst = max(worst, float(np.max(error, initial=0)) / scale)
    return worst


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def _read(value: onnx.ValueInfoProto, data: bytes) -> Any:
    if value.type.HasField("sequence_type"):
        return onnx.numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    return onnx.numpy_helper.to_array(onnx.TensorProto.FromString(data))


def _draw_weights(model: onnx.ModelProto) -> None:
    """Initializers in place of the operators that fill tensors with one number."""
    rng = np.random.default_rng(0)
    shapes = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in [node for node in model.graph.node if node.op_type == "ConstantOfShape"]:
        shape = shapes[node.input[0]]
        if len(shape) < 2:
            array = rng.uniform(0.5, 1.5, shape)
        else:
            array = rng.standard_normal(shape, dtype=np.float32)
            array *= np.float32(2 / np.prod(shape[1:])) ** 0.5
        tensor = onnx.numpy_helper.from_array(array.astype(np.float32), node.output[0])
        model.graph.initializer.append(tensor)
        model.graph.node.remove(node)


def _end_before_softmax(model: onnx.ModelProto) -> None:
    """With drawn weights one class is as good as certain: Softmax would hide all differences."""
    (output,) = model.graph.output
    *_, last = (node for node in model.graph.node if output.name in node.output)
    if last.op_type == "Softmax":
        before = next(node for node in model.graph.node if last.input[0] in node.output)
        before.output[0] = output.name
        model.graph.node.remove(last)
