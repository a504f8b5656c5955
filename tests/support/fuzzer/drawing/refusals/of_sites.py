"""Where an operator is nearly a norm that could vanish, and is none."""

from __future__ import annotations

from tests.support.fuzzer.drawing.part import IMAGES, TOKENS, VECTORS, Written

_LONG = " ".join(f"x{i + 1} = Mul(x{i}, one_4)" for i in range(1, 101))
_SCALER = "ai.onnx.ml.Scaler<offset=[0.5,0.1,-0.2,0.3],scale=[1.5,0.5,0.7,2.0]>"

OF_SITES: dict[str, Written] = {
    "a long row": (TOKENS, f"x1 = Mul(x, a_4) {_LONG} y = MatMul(x101, w_4_4)"),
    "a variance below zero": (
        IMAGES, "n = BatchNormalization(x, a_4, b_4, c_4, neg_4) i = IsNaN(n) y = Where(i, x, n)",
        ("float",),
    ),
    "BatchNormalization of some channels": (
        "(float[B,D4_1,6,6] x) => (float[B,4,6,6] y)",
        "y = BatchNormalization(x, a_4, b_4, c_4, av_4)",
    ),
    "a Scaler of some features": (
        "(float[B,D4_1] x) => (float[B,4] y)", f"k = {_SCALER}(x) y = Gemm(k, w_4_4)", ("float",),
    ),
    "a Scaler of what is no row": (
        "(float[B,4,3] x) => (float[B,4,3] y)", f"k = {_SCALER}(x) y = Neg(k)", ("float",),
    ),
    "a Scaler of another type": (VECTORS, f"k = {_SCALER}(x) y = Cast<to=1>(k)", ("double",)),
    "BatchNormalization by what is computed": (
        "(float[B,4,6,6] x, float[4] own) => (float[B,4,6,6] y)",
        "y = BatchNormalization(x, own, b_4, c_4, av_4)",
    ),
}  # fmt: skip
