"""Our versions of the operators that onnx's reference evaluator computes wrongly, or too slowly.

BatchNormalization before opset 14 mixes the batch's own statistics into the stored ones, whether
or not it is in training; the later version does not. GlobalMaxPool is right for images only.
ConvTranspose walks over every pixel in Python, and mixes up the groups.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_conv_transpose import ConvTranspose as OnnxConvTranspose

#: The first BatchNormalization that says whether it is in training; with one output, all older
#: ones mean what it means.
BATCH_NORMALIZATION = 14


class GlobalMaxPool(OpRun):
    """The maximum over all axes behind the channels, which are kept with size 1."""

    def _run(self, x: np.ndarray) -> tuple[np.ndarray]:
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)


class ConvTranspose(OnnxConvTranspose):
    """Adds what each entry of the kernel contributes, all pixels at once.

    Where padding is to be found from the output's size, onnx's own operator is asked.
    """

    def _run(  # type: ignore[override]  # onnx calls the inputs X, W and B
        self, x: np.ndarray, w: np.ndarray, b: Any = None, **given: Any
    ) -> tuple[np.ndarray]:
        rank = x.ndim - 2
        if given["output_shape"] is not None or given["auto_pad"] not in ("NOTSET", "VALID"):
            return super()._run(x, w, b, **given)
        groups, kernel = given["group"], w.shape[2:]
        strides = given["strides"] or [1] * rank
        dilations = given["dilations"] or [1] * rank
        longer = given["output_padding"] or [0] * rank
        pads = given["pads"] or [0] * 2 * rank
        reach = [s * (n - 1) + 1 for s, n in zip(strides, x.shape[2:], strict=True)]
        sizes = [
            r + d * (k - 1) + more
            for r, d, k, more in zip(reach, dilations, kernel, longer, strict=True)
        ]
        batch, channels = x.shape[0], w.shape[1] * groups
        columns = x.reshape(batch, groups, x.shape[1] // groups, -1)
        weight = w.reshape(groups, w.shape[0] // groups, w.shape[1], *kernel)
        y = np.zeros((batch, channels, *sizes), dtype=x.dtype)
        for offset in product(*map(range, kernel)):
            here = (slice(None),) * 3 + offset
            part = weight[here].swapaxes(1, 2) @ columns
            reached = [
                slice(d * o, d * o + r, s)
                for d, o, r, s in zip(dilations, offset, reach, strides, strict=True)
            ]
            pixels = (slice(None), slice(None), *reached)
            y[pixels] += part.reshape(batch, channels, *x.shape[2:])
        for axis, (begin, end) in enumerate(zip(pads[:rank], pads[rank:], strict=True), start=2):
            y = y.take(range(begin, y.shape[axis] - end), axis)
        return (y if b is None else y + b.reshape(-1, *[1] * rank),)


OPERATORS = [GlobalMaxPool, ConvTranspose]
