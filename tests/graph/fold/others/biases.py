"""Biases beside a linear operator, what an Expand repeats, what does nothing or is there twice."""

from __future__ import annotations

import numpy as np

from tests.graph.fold.others.case import (
    BIAS,
    FACTOR,
    FLAT,
    IMAGE,
    KERNEL,
    LARGER,
    MATRIX,
    NUMBER,
    ONE,
    PADS,
    ROWS,
    SAME,
    SHAPE,
    SUMMAND,
    TOKENS,
    WIDENING,
    ZERO,
    Case,
)

CASES = {
    "Conv, bias": Case(
        "onnx/optimizer",
        IMAGE,
        "p = Conv(x, w) y = Add(p, v)",
        KERNEL | {"v": (5, 1, 1)},
        "Conv",
    ),
    "Conv, bias of all axes": Case(
        "OnnxSlim",
        "float[B,3,8,8] x => float[B,5,4,4] y",
        "p = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) y = Add(p, v)",
        KERNEL | {"v": (1, 5, 1, 1)},
        "Conv",
    ),
    "Conv with a bias, bias": Case(
        "ONNX Runtime",
        IMAGE,
        "p = Conv(x, w, c) y = Add(v, p)",
        KERNEL | BIAS | {"v": (1, 5, 1, 1)},
        "Conv",
    ),
    "Conv, number": Case(
        "onnx/optimizer", IMAGE, "p = Conv(x, w) y = Add(p, k)", KERNEL | NUMBER, "Conv"
    ),
    "Conv, number of one axis": Case(
        "onnx/optimizer", IMAGE, "p = Conv(x, w) y = Add(p, k)", KERNEL | FACTOR, "Conv"
    ),
    "Conv, bias from a Constant": Case(
        "onnx/optimizer",
        IMAGE,
        "p = Conv(x, w) v = Constant<value=float[5,1,1] {1.0,2.0,3.0,4.0,5.0}>() y = Add(p, v)",
        KERNEL,
        "Conv",
    ),
    "ConvTranspose, bias": Case(
        "OnnxSlim",
        LARGER,
        "p = ConvTranspose(x, w) y = Add(p, v)",
        WIDENING | {"v": (1, 5, 1, 1)},
        "ConvTranspose",
    ),
    "Gemm, bias": Case("OnnxSlim", ROWS, "p = Gemm(x, w) y = Add(p, c)", MATRIX | BIAS, "Gemm"),
    "Gemm, bias in a Sum": Case(
        "ONNX Runtime", ROWS, "p = Gemm(x, w) y = Sum(p, c)", MATRIX | BIAS, "Gemm"
    ),
    "Gemm with factors of its own, bias in a Sum": Case(
        "ONNX Runtime",
        ROWS,
        "p = Gemm<alpha=3.5, beta=6.25, transB=1>(x, w, c) y = Sum(v, p, k)",
        {"w": (5, 4), "v": (1, 5)} | BIAS | NUMBER,
        "Gemm",
    ),
    "Gemm, Reshape, bias": Case(
        "OnnxSlim",
        FLAT,
        "p = Gemm<transB=1>(x, w) r = Reshape(p, s) y = Add(r, c)",
        {"w": (5, 4)} | BIAS | SHAPE,
        "Gemm Reshape",
    ),
    "Gemm with a bias, Reshape, bias": Case(
        "OnnxSlim",
        FLAT,
        "p = Gemm<transB=1>(x, w, c) r = Reshape(p, s) y = Add(r, v)",
        {"w": (5, 4), "v": (5,)} | BIAS | SHAPE,
        "Gemm Reshape",
    ),
    "Conv whose weight is computed, bias": Case(
        "onnx/optimizer",
        "float[B,3,8,8] x, float[5,3,3,3] u, float[5,3,3,3] v => float[B,5,6,6] y",
        "w = Sub(u, v) p = Conv(x, w) y = Add(p, d)",
        {"d": (1, 5, 1, 1)},
        "Sub Conv Add",
        ("the weight of Conv_1 is no constant",),
    ),
    "Conv, bias along the width": Case(
        "onnx/optimizer",
        "float[B,3,8,5] x => float[B,5,8,5] y",
        f"p = {PADS}(x, w) y = Add(p, v)",
        KERNEL | {"v": (5,)},
        "Conv Add",
        ("varies along axis 3, not only along the channels",),
    ),
    "Conv, a summand for each pixel": Case(
        "onnx/optimizer",
        IMAGE,
        "p = Conv(x, w) y = Add(p, v)",
        KERNEL | {"v": (5, 6, 6)},
        "Conv Add",
        ("it differs from place to place, as a position embedding does and no bias of Conv_0",),
    ),
    "MatMul, number": Case(
        "onnx/optimizer",
        TOKENS,
        "p = MatMul(x, w) y = Add(p, k)",
        MATRIX | NUMBER,
        "MatMul Add",
        ("MatMul_0 would gain a bias in its place",),
    ),
    # What an Expand repeats.
    "Conv, factors in an Expand": Case(
        "onnxscript",
        IMAGE,
        "e = Expand(v, s) p = Conv(x, w) y = Mul(p, e)",
        KERNEL | {"v": (1, 5, 1, 1), "s": [1, 5, 6, 6]},
        "Conv",
    ),
    "Gemm, bias in an Expand": Case(
        "onnxscript",
        "float[3,4] x => float[3,5] y",
        "e = Expand(c, s) p = Gemm(x, w) y = Add(p, e)",
        MATRIX | BIAS | {"s": [3, 5]},
        "Gemm",
    ),
    # What does nothing, and what is there twice.
    "times one": Case("onnxscript", SAME, "p = Mul(k, x) y = Sigmoid(p)", ONE, "Sigmoid"),
    "divided by one": Case("onnxscript", SAME, "p = Sigmoid(x) y = Div(p, k)", ONE, "Sigmoid"),
    "plus zero": Case("onnx/optimizer", SAME, "p = Add(x, k) y = Sigmoid(p)", ZERO, "Sigmoid"),
    "minus zero": Case("onnx/optimizer", SAME, "p = Sub(x, k) y = Sigmoid(p)", ZERO, "Sigmoid"),
    "times ones": Case(
        "onnx/optimizer",
        SAME,
        "p = Mul(x, k) y = Sigmoid(p)",
        {"k": np.ones(4, np.float32)},
        "Sigmoid",
    ),
    "plus zeros": Case(
        "onnx/optimizer",
        SAME,
        "p = Add(x, k) y = Sigmoid(p)",
        {"k": np.zeros((1, 4), np.float32)},
        "Sigmoid",
    ),
    "times one, from input to output": Case(
        "onnxscript",
        SAME,
        "y = Mul(x, k)",
        ONE,
        "Mul",
        ("it does nothing, but both its ends are the graph's",),
    ),
    "factor, factor": Case(
        "onnxsim",
        SAME,
        "p = Mul(x, k) y = Mul(p, d)",
        FACTOR | SUMMAND,
        "Mul",
        ("shortened to Mul",),
    ),
    "number, number": Case(
        "onnxsim",
        SAME,
        "p = Add(x, k) q = Sigmoid(p) r = Add(q, k) y = Sub(r, d)",
        FACTOR | SUMMAND,
        "Add Sigmoid Add",
        ("shortened to Add",),
    ),
}
