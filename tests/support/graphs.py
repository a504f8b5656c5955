"""Small graphs for the tests of the rewriter: built from text, folded, and compared in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnx_ir as ir

from tests.support.float64 import run
from un_deploy.graph.analysis.floating import widen
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.proof.prove import prove

#: One norm, from x to n, with scale `a` and shift `b`.
NORM = "m = Mul(x, a)  n = Add(m, b)"
_SIZE_OF_A_SYMBOL = 2


def build(
    signature: str,
    body: str,
    /,
    opset: int = 20,
    dtype: Any = np.float32,
    claims: str = "",
    **constants: tuple[int, ...] | np.ndarray | list[int] | int,
) -> ir.Model:
    """A model from ONNX's text form.

    Args:
        signature: ``float[B,3,4] x => float[B,3,5] y``.
        body: the operators; each is called by its type and position, such as ``MatMul_2``.
        opset: of the default domain.
        dtype: of the random initializers.
        claims: what the file says of tensors inside, such as ``float16[B,3,4] n``.
        constants: initializers by name: a tuple is a shape to be filled at random (in
            [0.5, 1.5] where the name begins with ``a``), an array is taken as it is, a list of
            integers or an integer is int64.
    """
    inputs, outputs = signature.split("=>")
    header = f'<ir_version: 10, opset_import: ["" : {opset}]>'
    claimed = f"<{claims}>" if claims else ""
    model = onnx.parser.parse_model(
        f"{header} test ({inputs}) => ({outputs}) {claimed} {{ {body} }}"
    )
    rng = np.random.default_rng(0)
    for name, given in constants.items():
        if isinstance(given, tuple):
            low = rng.uniform(0.5, 1.5, given) if name[0] == "a" else rng.standard_normal(given)
            array = np.asarray(low).astype(dtype)
        else:
            array = given if isinstance(given, np.ndarray) else np.array(given, dtype=np.int64)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    return ir.from_proto(model)


def feeds_for(model: ir.Model, seed: int = 1) -> dict[str, np.ndarray]:
    """Random inputs; a symbolic size is 2, integers are 0, 1 or 2."""
    rng = np.random.default_rng(seed)
    feeds: dict[str, np.ndarray] = {}
    for value in model.graph.inputs:
        assert value.shape is not None and value.dtype is not None
        if value.is_initializer():
            continue
        shape = [d if isinstance(d, int) else _SIZE_OF_A_SYMBOL for d in value.shape.dims]
        if value.dtype == ir.DataType.BOOL:
            feeds[str(value.name)] = rng.integers(0, 2, shape).astype(bool)
        elif value.dtype == ir.DataType.INT64:
            feeds[str(value.name)] = rng.integers(0, 3, shape)
        else:
            feeds[str(value.name)] = rng.standard_normal(shape).astype(value.dtype.numpy())
    return feeds


def stored(value: ir.Value) -> np.ndarray:
    """An initializer as it is saved, widened to float64."""
    assert value.const_value is not None
    return widen(value.const_value.numpy())


def exact(folded: Folded, value: ir.Value) -> np.ndarray:
    """An initializer of a folded graph in float64, as it was computed and not as it is saved."""
    compute = folded.exact.get(str(value.name))
    return stored(value) if compute is None else compute()


def set_constant(model: ir.Model, name: str, array: np.ndarray) -> None:
    """Give an initializer other numbers, rounded to its type."""
    value = model.graph.initializers[name]
    assert value.const_value is not None
    value.const_value = ir.tensor(array.astype(value.const_value.numpy().dtype))


def to_bytes(model: ir.Model) -> bytes:
    """The whole model; the same model gives the same bytes."""
    return ir.to_proto(model).SerializeToString(deterministic=True)


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def largest_error(got: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> float:
    """max |got - wanted| / max |wanted| over all outputs, which must be the same ones."""
    assert list(got) == list(wanted)
    scale = max(float(np.max(np.abs(array), initial=0)) for array in wanted.values())
    worst = 0.0
    for name, array in wanted.items():
        assert got[name].shape == array.shape, name
        worst = max(worst, float(np.max(np.abs(got[name] - array), initial=0)))
    return worst / max(scale, 1e-30)


def fold_and_prove(
    model: ir.Model,
    *,
    keep: tuple[str, ...] = (),
    fold_norm_affine: bool = False,
    eps: float = 2.0**-23,
) -> Folded:
    """Fold a clone and assert all that must hold of any fold, whatever it could do.

    It is proven; unrounded it equals the original to 1e-10; rounded to a few eps of the weights'
    type; ONNX's checker takes it; the signature is kept; folding it again changes nothing.
    """
    settings = {"keep": keep, "fold_norm_affine": fold_norm_affine}
    folded = fold_graph(model.clone(), **settings)
    feeds = feeds_for(model)
    original = run(model, feeds, stored)
    unrounded = run(folded.model, feeds, lambda value: exact(folded, value))
    assert largest_error(unrounded, original) < 1e-10
    assert largest_error(run(folded.model, feeds, stored), original) < 20 * eps
    proof = prove(model, folded)
    assert proof.passed, proof.problems
    onnx.checker.check_model(ir.to_proto(folded.model), full_check=True)
    assert _signature(folded.model) == _signature(model)
    again = fold_graph(folded.model.clone(), **settings)
    assert to_bytes(again.model) == to_bytes(folded.model)
    assert all(site.reason for site in folded.report.stayed)
    return folded


def assert_folds(model: ir.Model, *, eps: float = 2.0**-23) -> Folded:
    """Every site folds, and the result is right."""
    folded = fold_and_prove(model, eps=eps)
    assert folded.report.sites and not folded.report.stayed, folded.report.sites
    return folded


def assert_stays(model: ir.Model, *reasons: str, keep: tuple[str, ...] = ()) -> Folded:
    """One site stays, its reason holds these words, and the graph is the same bit for bit."""
    folded = fold_graph(model.clone(), keep=keep)
    (site,) = folded.report.sites
    assert site.status == "stayed"
    for reason in reasons:
        assert reason in site.reason, site.reason
    assert to_bytes(folded.model) == to_bytes(model)
    return folded


def _signature(model: ir.Model) -> list[tuple[str, str, str]]:
    ends = (*model.graph.inputs, *model.graph.outputs)
    return [(str(v.name), str(v.type), str(v.shape)) for v in ends]
