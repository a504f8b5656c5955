"""A BatchNormalization behind a linear operator, and in front of one."""

from __future__ import annotations

from tests.graph.fold.others.case import (
    BIAS,
    IMAGE,
    KERNEL,
    LARGER,
    MATRIX,
    ROWS,
    WIDENING,
    Case,
    norm,
    normed,
)

CASES = {
    "Conv, norm": Case(
        "onnxscript", IMAGE, f"p = Conv(x, w) y = {normed('p')}", KERNEL | norm(5), "Conv"
    ),
    "Conv with a bias, norm": Case(
        "onnx/optimizer",
        IMAGE,
        f"p = Conv(x, w, c) y = {normed('p')}",
        KERNEL | BIAS | norm(5),
        "Conv",
    ),
    "padded and strided Conv, norm": Case(
        "OnnxSlim",
        "float[B,3,8,8] x => float[B,5,4,4] y",
        f"p = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) y = {normed('p')}",
        KERNEL | norm(5),
        "Conv",
        opset=11,
    ),
    "Conv of one axis, norm": Case(
        "PyTorch",
        "float[B,3,8] x => float[B,5,6] y",
        f"p = Conv(x, w, c) y = {normed('p')}",
        {"w": (5, 3, 3)} | BIAS | norm(5),
        "Conv",
    ),
    "Conv of three axes, norm": Case(
        "PyTorch",
        "float[B,3,4,4,4] x => float[B,5,2,2,2] y",
        f"p = Conv(x, w) y = {normed('p')}",
        {"w": (5, 3, 3, 3, 3)} | norm(5),
        "Conv",
    ),
    "Conv of each channel, norm": Case(
        "PyTorch",
        "float[B,4,8,8] x => float[B,4,6,6] y",
        f"p = Conv<group=4>(x, w) y = {normed('p')}",
        {"w": (4, 1, 3, 3)} | norm(4),
        "Conv",
    ),
    "Conv, norm of an old opset": Case(
        "ONNX Runtime",
        IMAGE,
        f"p = Conv(x, w) y = {normed('p')}",
        KERNEL | norm(5),
        "Conv",
        opset=7,
    ),
    "Conv, norm with momentum and an epsilon": Case(
        "ONNX Runtime",
        IMAGE,
        "p = Conv(x, w) y = BatchNormalization<epsilon=0.01, momentum=0.5>(p, g, b, m, av)",
        KERNEL | norm(5),
        "Conv",
        opset=9,
    ),
    "ConvTranspose, norm": Case(
        "onnxscript",
        LARGER,
        f"p = ConvTranspose(x, w) y = {normed('p')}",
        WIDENING | norm(5),
        "ConvTranspose",
    ),
    "ConvTranspose with a bias, norm": Case(
        "onnxscript",
        LARGER,
        f"p = ConvTranspose(x, w, c) y = {normed('p')}",
        WIDENING | BIAS | norm(5),
        "ConvTranspose",
    ),
    "ConvTranspose in groups, norm": Case(
        "OnnxSlim",
        "float[B,4,8,8] x => float[B,6,10,10] y",
        f"p = ConvTranspose<group=2>(x, w, c) y = {normed('p')}",
        {"w": (4, 3, 3, 3), "c": (6,)} | norm(6),
        "ConvTranspose",
    ),
    "Gemm, norm": Case(
        "onnxscript", ROWS, f"p = Gemm(x, w) y = {normed('p')}", MATRIX | norm(5), "Gemm"
    ),
    "Gemm with a bias, norm": Case(
        "onnxscript",
        ROWS,
        f"p = Gemm(x, w, c) y = {normed('p')}",
        MATRIX | BIAS | norm(5),
        "Gemm",
    ),
    "Gemm of a transposed weight, norm": Case(
        "onnxscript",
        ROWS,
        f"p = Gemm<transB=1>(x, w) y = {normed('p')}",
        {"w": (5, 4)} | norm(5),
        "Gemm",
    ),
    "Gemm of a transposed weight with a bias, norm": Case(
        "onnxscript",
        ROWS,
        f"p = Gemm<transB=1>(x, w, c) y = {normed('p')}",
        {"w": (5, 4)} | BIAS | norm(5),
        "Gemm",
    ),
    "MatMul, norm": Case(
        "ONNX Runtime", ROWS, f"p = MatMul(x, w) y = {normed('p')}", MATRIX | norm(5), "MatMul Add"
    ),
    "MatMul, Transpose, norm": Case(
        "ONNX Runtime",
        "float[B,3,4] x => float[B,5,3] y",
        f"p = MatMul(x, w) t = Transpose<perm=[0,2,1]>(p) y = {normed('t')}",
        MATRIX | norm(5),
        "MatMul Add Transpose",
    ),
    "MatMul, Reshape, norm": Case(
        "ONNX Runtime",
        "float[6,4] x => float[6,5,1] y",
        f"p = MatMul(x, w) r = Reshape(p, s) y = {normed('r')}",
        MATRIX | norm(5) | {"s": [6, 5, 1]},
        "MatMul Add Reshape",
    ),
    "Linear, norm over an axis that is put in": Case(
        "PyTorch",
        ROWS,
        f"p = Gemm(x, w, c) u = Unsqueeze(p, e) n = {normed('u')} y = Squeeze(n, e)",
        MATRIX | BIAS | norm(5) | {"e": [2]},
        "Gemm",
    ),
    "norm, Conv": Case(
        "PyTorch", IMAGE, f"n = {normed('x')} y = Conv(n, w, c)", KERNEL | BIAS | norm(3), "Conv"
    ),
    "norm, Linear": Case(
        "PyTorch", ROWS, f"n = {normed('x')} y = Gemm(n, w)", MATRIX | norm(4), "Gemm"
    ),
    "Conv whose weight is an input, norm": Case(
        "onnxscript",
        "float[B,3,8,8] x, float[5,3,3,3] w => float[B,5,6,6] y",
        f"p = Conv(x, w) y = {normed('p')}",
        norm(5),
        "Conv BatchNormalization",
        ("its weight or bias is no constant",),
    ),
    "Conv, norm whose parameters are inputs": Case(
        "onnxscript",
        "float[B,3,8,8] x, float[5] g, float[5] b, float[5] m, float[5] av => float[B,5,6,6] y",
        f"p = Conv(x, w) y = {normed('p')}",
        KERNEL,
        "Conv BatchNormalization",
        ("its parameters are not constant",),
    ),
    "Conv whose result is read elsewhere, norm": Case(
        "onnx/optimizer",
        f"{IMAGE}, float[B,5,6,6] z",
        f"p = Conv(x, w) y = {normed('p')} z = Sigmoid(p)",
        KERNEL | norm(5),
        "Conv BatchNormalization Sigmoid",
        ("Sigmoid_2",),
    ),
    "Conv, norm in training": Case(
        "OnnxSlim",
        IMAGE,
        "p = Conv(x, w) y, n, v = BatchNormalization<training_mode=1>(p, g, b, m, av)",
        KERNEL | norm(5),
        "Conv BatchNormalization",
        ("export the network in eval mode",),
    ),
}
