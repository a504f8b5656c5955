"""Networks for the tests of verdicts, and ways to change one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from tests.support.graphs import NORM, build
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.measure.equality.report import VerifyReport

CHANNELS = 6
TWO = np.array(2, np.float32)
AFFINE = {"a": (CHANNELS,), "b": (CHANNELS,)}


def small() -> ir.Model:
    """Linear, norm, linear: the norm folds into the second one."""
    return build(
        "float[batch,3,6] x0 => float[batch,3,4] y",
        f"x = MatMul(x0, v)  {NORM}  h = MatMul(n, w)  y = Add(h, c)",
        **AFFINE,
        v=(CHANNELS, CHANNELS),
        w=(CHANNELS, 4),
        c=(4,),
    )


def replaced(model: ir.Model, name: str, change: Callable[[np.ndarray], np.ndarray]) -> ir.Model:
    """A copy in which one initializer holds other numbers."""
    changed, _ = to_ir(model)
    value = changed.graph.initializers[name]
    array = value.const_value.numpy().copy()
    value.const_value = ir.Tensor(change(array).astype(array.dtype), name=name)
    return changed


def places(report: VerifyReport) -> list[str]:
    return [problem.place for problem in report.problems]


def two_branches(then: float, other: float) -> ir.Model:
    """A norm before a linear operator, and an If behind it."""
    body = (
        f"{NORM}  h = MatMul(n, w)  y = If(c) <"
        "then_branch = t () => (float[B,4] p)"
        f" {{ u = Constant<value_float = {then}>() p = Mul(h, u) }}, "
        "else_branch = e () => (float[B,4] q)"
        f" {{ v = Constant<value_float = {other}>() q = Mul(h, v) }}>"
    )
    return build("float[B,6] x, bool c => float[B,4] y", body, **AFFINE, w=(CHANNELS, 4))


def attention(keys: str) -> ir.Model:
    """A norm, queries, keys and values of it, and the attention; `keys` is what is transposed."""
    body = (
        f"{NORM}  q0 = MatMul(n, wq)  q = Add(q0, cq)  k0 = MatMul(n, wk)  k = Add(k0, ck)  "
        f"v = MatMul(n, wv)  t = Transpose<perm=[0,2,1]>({keys})  l = MatMul(q, t)  "
        "s = Softmax(l)  y = MatMul(s, v)"
    )
    square, row = (CHANNELS, CHANNELS), (CHANNELS,)
    return build(
        "float[B,T,6] x => float[B,T,6] y",
        body,
        **AFFINE,
        wq=square,
        wk=square,
        wv=square,
        cq=row,
        ck=row,
    )


def attention_stack(depth: int, width: int = 16) -> ir.Model:
    """Pre-norm attention with norms near 1: rounding errors grow with the depth."""
    rng = np.random.default_rng(3)

    def near(value: float, spread: float, *shape: int) -> np.ndarray:
        return (value + spread * rng.standard_normal(shape)).astype(np.float32)

    body, x, weights = "", "x", {"wy": near(0, 1, width, width)}
    for i in range(depth):
        body += f"m{i} = Mul({x}, a{i}) n{i} = Add(m{i}, b{i}) "
        weights |= {f"a{i}": near(1, 0.1, width), f"b{i}": near(0, 0.1, width)}
        for part in "qkvo":
            weights[f"w{part}{i}"] = near(0, 0.8 * width**-0.5, width, width)
        body += f"""q{i} = MatMul(n{i}, wq{i}) k{i} = MatMul(n{i}, wk{i}) v{i} = MatMul(n{i}, wv{i})
            t{i} = Transpose<perm=[0,2,1]>(k{i}) l{i} = MatMul(q{i}, t{i}) s{i} = Softmax(l{i})
            p{i} = MatMul(s{i}, v{i}) f{i} = MatMul(p{i}, wo{i}) x{i} = Add({x}, f{i}) """
        x = f"x{i}"
    shape = f"float[B,8,{width}]"
    return build(f"{shape} x => {shape} y", f"{body} y = MatMul({x}, wy)", **weights)
