"""ONNX Runtime says whether a fold computes what the original computes.

Both run without graph optimisation, operator by operator. What rounding may explain is measured,
not guessed: the original runs again with every weight, every input and what every operator of
arithmetic gives off by one unit of rounding, what a Cast to a narrower type gives by one of that
type, and a fold may differ by so many times what that changed. A graph in a half type is judged
twice, as it is and widened to float32, where only its rounded weights tell the two apart. As it is,
it may also differ by so many times what the half type itself changes: ONNX Runtime computes float16
in float32 and rounds where it likes, so that x - Identity(x) is no zero.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
from onnx import TensorProto

from tests.support.fuzzer.feeds import Feeds
from tests.support.fuzzer.widen import FLOATS, widened, with_floats

#: Roundings on the way through a graph that none of the perturbed runs had.
ALLOWED = 8.0
_PERTURBED_RUNS = 2
_REPEATED = 6
_ARITHMETIC = {"MatMul", "Gemm", "Conv", "ConvTranspose", "BatchNormalization"}
_ARITHMETIC |= {"Add", "Sub", "Mul", "Div", "ReduceMean"}

_Outputs = list[np.ndarray]


@dataclass(frozen=True)
class Judgement:
    """What ONNX Runtime showed of a pair.

    Attributes:
        wrong: how they differ; empty where they do not.
        not_judged: why nothing could be said; empty where something was.
        share: the largest difference, as a share of what is allowed.
    """

    wrong: str = ""
    not_judged: str = ""
    share: float = 0.0


def judge(
    original: onnx.ModelProto, folded: onnx.ModelProto, feeds: Iterable[Feeds], dtype: np.dtype
) -> Judgement:
    """Run both on each of the feeds that the original takes, in its own type and widened.

    Args:
        original, folded: the pair.
        feeds: inputs.
        dtype: of the graph's floats.
    """
    feeds = list(feeds)
    eps = float(ml_dtypes.finfo(dtype).eps)
    pairs = [] if dtype == ml_dtypes.bfloat16 else [(original, folded, feeds)]
    if dtype.itemsize == 2:  # of bfloat16 ONNX Runtime's CPU has hardly an operator
        wide = [{name: _widened(array) for name, array in one.items()} for one in feeds]
        pairs.append((widened(original), widened(folded), wide))
    reference = pairs[-1][0]
    why, share = "", 0.0
    judged = 0
    for first, second, given in pairs:
        usual = _usual(first, given)
        for one, wide_one in zip(given, pairs[-1][2], strict=True):
            try:
                wanted = _run(first, one)
                again = _run(first, one)
                exact, spread = _spread(reference, wide_one, dtype)
            except Exception as error:  # ONNX Runtime has no common base of its errors
                why = str(error)
                continue
            if any(_distance(a, b) for a, b in zip(wanted, again, strict=True)):
                why = "the original gives other numbers each time"
                continue
            try:
                got = _run(second, one)
            except Exception as error:
                return Judgement(f"the folded graph does not run: {error}")
            spread = [
                max(moved, _distance(a, b))
                for moved, a, b in zip(spread, wanted, exact, strict=True)
            ]
            wrong, largest, seen = _compared(got, wanted, spread, usual, eps)
            if wrong and not (_is_steady(first, one, wanted) and _is_steady(second, one, got)):
                why = "a graph gives other numbers each time"  # of memory that nobody wrote
                continue
            if wrong:
                return Judgement(wrong, share=largest)
            judged += seen
            share = max(share, largest)
            why = why or ("" if seen else "no output is finite, or rounding alone changes it all")
    return Judgement(share=share) if judged else Judgement(not_judged=why or "nothing ran")


def _run(model: onnx.ModelProto, feeds: Feeds) -> _Outputs:
    """In a session of its own, so that random operators begin at their seeds."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, feeds))


def _is_steady(model: onnx.ModelProto, feeds: Feeds, given: _Outputs) -> bool:
    """Whether it gives the same bit for bit, several times; a single time may be chance."""
    return not any(
        _distance(a, b)
        for _ in range(_REPEATED)
        for a, b in zip(_run(model, feeds), given, strict=True)
    )


def _usual(model: onnx.ModelProto, feeds: Iterable[Feeds]) -> list[float]:
    """How large each output is at the inputs at which it is largest, and 1 where it is larger.

    A fold may round numbers of about 1 once more, and add to a small one what it subtracts again:
    where a condition chooses nothing but small numbers, these alone would say less.
    """
    sizes: list[list[float]] = []
    for one in feeds:
        with contextlib.suppress(Exception):  # what does not run is told where it is compared
            sizes.append([_size(array) for array in _run(model, one)])
    return [min(1.0, max(column)) for column in zip(*sizes, strict=True)]


def _size(array: np.ndarray) -> float:
    if not _floats(array):
        return 0.0
    finite = array[np.isfinite(array)]
    return _distance(finite, np.zeros_like(finite))


def _spread(model: onnx.ModelProto, feeds: Feeds, dtype: np.dtype) -> tuple[_Outputs, list[float]]:
    """The outputs, and how much each changes when all that a fold may round is rounded again."""
    eps = float(ml_dtypes.finfo(dtype).eps)
    wide = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    base = _run(model, feeds)
    spread = [0.0] * len(base)
    shapes = _shapes_of_casts(model, feeds)
    for seed in range(_PERTURBED_RUNS):
        rng = np.random.default_rng(seed)

        def rounded(array: np.ndarray, rng: np.random.Generator = rng) -> np.ndarray:
            signs = rng.choice([-1.0, 1.0], array.shape)
            return np.asarray(array * (1.0 + eps * signs)).astype(array.dtype)

        given = {name: rounded(array) if _floats(array) else array for name, array in feeds.items()}
        moved = _run(_rounding(with_floats(model, rounded), rng, eps, wide, shapes), given)
        for index, (a, b) in enumerate(zip(moved, base, strict=True)):
            spread[index] = max(spread[index], _distance(a, b))
    return base, spread


def _shapes_of_casts(model: onnx.ModelProto, feeds: Feeds) -> dict[str, tuple[int, ...]]:
    """Of what the main graph's Casts to floats give, by name."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    names = [
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Cast" and node.attribute[0].i in FLOATS
    ]
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return {n: a.shape for n, a in zip(names, _run(copy, feeds), strict=True)} if names else {}


def _rounding(
    model: onnx.ModelProto,
    rng: np.random.Generator,
    eps: float,
    dtype: np.dtype,
    shapes: Mapping[str, tuple[int, ...]],
) -> onnx.ModelProto:
    """In place: what arithmetic in the main graph gives is multiplied by 1 + eps or 1 - eps.

    What a Cast gives is so entry by entry, since one factor for all is gone where a mean is taken
    out, and its rounding is not.
    """
    nodes = list(model.graph.node)
    del model.graph.node[:]
    integers = {one.name for one in model.graph.initializer if one.data_type == TensorProto.INT64}
    for index, node in enumerate(nodes):
        model.graph.node.append(node)
        own, step = dtype, eps
        if node.op_type == "Cast" and node.attribute[0].i in FLOATS:
            own = onnx.helper.tensor_dtype_to_np_dtype(node.attribute[0].i)
            step = max(eps, float(ml_dtypes.finfo(own).eps))
        elif node.op_type not in _ARITHMETIC or (
            node.op_type in ("Add", "Mul") and integers & set(node.input)
        ):
            continue
        factor = 1.0 + step * rng.choice([-1.0, 1.0], shapes.get(node.output[0], ()))
        factor = np.asarray(factor).astype(own)
        names = f"{node.output[0]}_given", f"factor_{index}"
        model.graph.initializer.append(onnx.numpy_helper.from_array(factor, names[1]))
        model.graph.node.append(onnx.helper.make_node("Mul", names, [node.output[0]]))
        model.graph.node[-2].output[0] = names[0]
    return model


def _compared(
    got: Sequence[np.ndarray],
    wanted: Sequence[np.ndarray],
    spread: Sequence[float],
    usual: Sequence[float],
    eps: float,
) -> tuple[str, float, int]:
    """What is wrong, the largest share of what is allowed, and how many outputs told something."""
    largest, told = 0.0, 0
    for index, (a, b, moved) in enumerate(zip(got, wanted, spread, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"output {index} is {a.dtype}{a.shape}, not {b.dtype}{b.shape}", np.inf, told
        finite = np.isfinite(b)
        if not np.isfinite(moved) or not finite.any():  # nor does an empty one tell anything
            continue
        allowed = ALLOWED * (moved + eps * max(_size(b), usual[index]))
        off = _distance(a[finite], b[finite])
        share = off / allowed if allowed else (np.inf if off else 0.0)
        if share > 1.0:
            text = f"output {index} is off by {off:.2g}, {share:.2g} times what is allowed"
            return text, share, told
        largest, told = max(largest, share), told + 1
    return "", largest, told


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """The largest |a - b|; infinite where one is not finite, or integers differ."""
    if a.shape != b.shape:
        return np.inf
    if not _floats(b):
        return 0.0 if np.array_equal(a, b) else np.inf
    both = ~(np.isnan(a) & np.isnan(b)) & ~((a == b) & np.isinf(a))
    difference = np.abs(a[both].astype(np.float64) - b[both].astype(np.float64))
    return float(np.max(np.where(np.isnan(difference), np.inf, difference), initial=0.0))


def _floats(array: np.ndarray) -> bool:
    return array.dtype.kind == "f"


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array
