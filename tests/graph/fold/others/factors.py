"""Scalar factors and factors of channels beside a linear operator, with a shift and without."""

from __future__ import annotations

from tests.graph.fold.others.case import (
    BIAS,
    FACTOR,
    FLAT,
    IMAGE,
    KERNEL,
    LARGER,
    MATRIX,
    NUMBER,
    PADDED,
    PADS,
    SHAPE,
    SUMMAND,
    TOKENS,
    WIDENING,
    Case,
)

CASES = {
    "padded Conv, factor, number": Case(
        "onnxscript",
        PADDED,
        f"p = {PADS}(x, w, c) q = Mul(p, k) y = Add(q, d)",
        KERNEL | BIAS | FACTOR | SUMMAND,
        "Conv",
    ),
    "factor, number, Conv": Case(
        "onnxscript",
        IMAGE,
        "p = Mul(x, k) q = Add(p, d) y = Conv<pads=[0,0,0,0]>(q, w, c)",
        KERNEL | BIAS | FACTOR | SUMMAND,
        "Conv",
    ),
    "factor, number, MatMul": Case(
        "onnxscript",
        TOKENS,
        "p = Mul(x, k) q = Add(p, d) y = MatMul(q, w)",
        MATRIX | FACTOR | SUMMAND,
        "MatMul Add",
    ),
    "factor, number, padded Conv": Case(
        "onnxscript",
        PADDED,
        f"p = Mul(x, k) q = Add(p, d) y = {PADS}(q, w, c)",
        KERNEL | BIAS | FACTOR | SUMMAND,
        "Add Conv",
        ("its scale is folded", "it pads its input with zeros"),
    ),
    "Conv whose weight is an input, factor, number": Case(
        "onnxscript",
        "float[B,3,8,8] x, float[5,3,3,3] w => float[B,5,6,6] y",
        "p = Conv(x, w, c) q = Mul(p, k) y = Add(q, d)",
        BIAS | FACTOR | SUMMAND,
        "Conv Mul Add",
        ("the weight of Conv_0 is no constant",),
    ),
    "Conv whose bias is an input, factor, number": Case(
        "onnxscript",
        "float[B,3,8,8] x, float[5] c => float[B,5,6,6] y",
        "p = Conv(x, w, c) q = Mul(p, k) y = Add(q, d)",
        KERNEL | FACTOR | SUMMAND,
        "Conv Mul Add",
        ("its weight or bias is no constant",),
    ),
    "Conv, factors along the width": Case(
        "onnxscript",
        "float[B,3,8,5] x => float[B,5,8,5] y",
        f"p = {PADS}(x, w) y = Mul(p, v)",
        KERNEL | {"v": (5,)},
        "Conv Mul",
        ("vary along axis 3, not only along the channels",),
    ),
    # A factor behind a linear operator, and in front of one.
    "Conv, factor": Case(
        "ONNX Runtime", IMAGE, "p = Conv(x, w) y = Mul(p, k)", KERNEL | NUMBER, "Conv"
    ),
    "Conv with a bias, factors": Case(
        "OnnxSlim",
        "float[B,3,8,8] x => float[B,5,4,4] y",
        "p = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, c) y = Mul(p, v)",
        KERNEL | BIAS | {"v": (1, 5, 1, 1)},
        "Conv",
    ),
    "factors before Conv": Case(
        "onnxsim", IMAGE, "p = Mul(v, x) y = Conv(p, w)", KERNEL | {"v": (3, 1, 1)}, "Conv"
    ),
    "factors before a padded Conv": Case(
        "onnxsim",
        PADDED,
        f"p = Mul(x, v) y = {PADS}(p, w, c)",
        KERNEL | BIAS | {"v": (1, 3, 1, 1)},
        "Conv",
    ),
    "factor before a padded Conv": Case(
        "onnxsim", PADDED, f"p = Mul(x, k) y = {PADS}(p, w)", KERNEL | NUMBER, "Conv"
    ),
    "factors before a Conv of each channel": Case(
        "onnxsim",
        "float[B,4,8,8] x => float[B,4,6,6] y",
        "p = Mul(x, v) y = Conv<group=4>(p, w)",
        {"w": (4, 1, 3, 3), "v": (1, 4, 1, 1)},
        "Conv",
    ),
    "ConvTranspose, factors": Case(
        "OnnxSlim",
        LARGER,
        "p = ConvTranspose(x, w, c) y = Mul(p, v)",
        WIDENING | BIAS | {"v": (1, 5, 1, 1)},
        "ConvTranspose",
    ),
    "Gemm, Reshape, factors": Case(
        "OnnxSlim",
        FLAT,
        "p = Gemm<transB=1>(x, w, c) r = Reshape(p, s) y = Mul(r, v)",
        {"w": (5, 4), "v": (5,)} | BIAS | SHAPE,
        "Gemm Reshape",
    ),
    "Gemm, Reshape, factor": Case(
        "OnnxSlim",
        FLAT,
        "p = Gemm<transB=1>(x, w, c) r = Reshape(p, s) y = Mul(r, k)",
        {"w": (5, 4)} | BIAS | SHAPE | NUMBER,
        "Gemm Reshape",
    ),
    "factor, MatMul": Case(
        "ONNX Runtime", TOKENS, "p = Mul(x, k) y = MatMul(p, w)", MATRIX | NUMBER, "MatMul"
    ),
    "factor, MatMul, factor": Case(
        "ONNX Runtime",
        TOKENS,
        "p = Mul(x, k) q = MatMul(p, w) y = Mul(k, q)",
        MATRIX | NUMBER,
        "MatMul",
    ),
    "MatMul, divisors": Case(
        "onnxscript",
        TOKENS,
        "p = MatMul(x, w) q = Div(p, k) y = Div(q, d)",
        MATRIX | FACTOR | SUMMAND,
        "MatMul",
    ),
    "divisor, MatMul of a weight on the left": Case(
        "ONNX Runtime",
        "float[B,4,3] x => float[B,5,3] y",
        "p = Div(x, k) y = MatMul(w, p)",
        {"w": (5, 4)} | NUMBER,
        "MatMul",
    ),
    "factor, MatMul twice": Case(
        "ONNX Runtime",
        f"{TOKENS}, float[B,3,6] z",
        "p = Mul(x, k) y = MatMul(p, w) z = MatMul(p, v)",
        MATRIX | NUMBER | {"v": (4, 6)},
        "MatMul MatMul",
    ),
    "factors of the batch, MatMul": Case(
        "ONNX Runtime",
        "float[2,3,4] x => float[2,3,5] y",
        "p = Mul(v, x) y = MatMul(p, w)",
        MATRIX | {"v": (2, 1, 1)},
        "Mul MatMul",
        ("'y' is a graph output",),
    ),
    "factor read elsewhere, MatMul": Case(
        "ONNX Runtime",
        f"{TOKENS}, float[B,3,4] z",
        "p = Mul(x, k) y = MatMul(p, w) z = Sigmoid(p)",
        MATRIX | NUMBER,
        "Mul MatMul Sigmoid",
        ("also read by Sigmoid_2",),
    ),
    "Conv that is an output, factor": Case(
        "ONNX Runtime",
        f"{IMAGE}, float[B,5,6,6] z",
        "z = Conv(x, w) y = Mul(z, k)",
        KERNEL | NUMBER,
        "Conv Mul",
        ("'z' is a graph output",),
    ),
}
