"""Every handler on the test data that ONNX has for its operator."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

pytest.importorskip("torch")

from tests.support.float64 import run
from tests.support.graphs import build, feeds_for, stored
from un_deploy.errors import InputError
from un_deploy.graph.fold.rules import operators
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.torch_graph.operators import HANDLERS

pytestmark = pytest.mark.torch

UNTESTED = {"And", "Not", "LayerNormalization"}
"""Their data are of an older opset, or ask for the mean as well; the networks use the last."""

BEYOND = (
    "is not supported",
    "are supported",
    "no handler for the operator",
    "has opset",
    "depends on what is in the inputs",
)
"""What the messages say where an operator is known but not with these attributes or inputs."""


@cache
def _cases() -> list[Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case for case in collect_testcases(None) if case.data_sets]
    return [case for case in cases if _is_ours(case)]


def _is_ours(case: Any) -> bool:
    """All operators have a handler, and all data are plain arrays."""
    arrays = [array for arrays in case.data_sets[0] for array in arrays]
    return all(isinstance(array, np.ndarray) for array in arrays) and all(
        node.op_type in HANDLERS for node in case.model.graph.node
    )


def test_every_linear_operator_has_a_handler() -> None:
    assert {name for name, operator in operators().items() if operator.linear} <= set(HANDLERS)


def _run(case: Any, fed: int) -> list[np.ndarray]:
    """Feed the first inputs; the others are initializers."""
    arrays, _ = case.data_sets[0]
    names = [value.name for value in case.model.graph.input]
    proto = onnx.ModelProto()
    proto.CopyFrom(case.model)
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name)
        for name, array in zip(names[fed:], arrays[fed:], strict=True)
    )
    del proto.graph.input[fed:]
    feeds = dict(zip(names[:fed], arrays[:fed], strict=True))
    return list(TorchRuntime().load(ir.from_proto(proto)).run(feeds).values())


@pytest.mark.parametrize("fed", [0, 1], ids=["constant", "traced"])
def test_agrees_with_the_data_of_onnx(fed: int) -> None:
    wrong, agreed = [], set()
    for case in _cases():
        expected = case.data_sets[0][1]
        try:
            got = _run(case, min(fed, len(case.model.graph.input)))
        except InputError as error:
            if not any(reason in str(error) for reason in BEYOND):
                wrong.append(f"{case.name}: {error}")
            continue
        for array, wanted in zip(got, expected, strict=True):
            loose = 1e-2 if wanted.dtype.itemsize == 2 else 1e-5  # half precision or single
            numbers = (np.asarray(a, np.float64) for a in (array, wanted))
            close = np.allclose(*numbers, rtol=max(case.rtol, loose), atol=loose, equal_nan=True)
            if array.shape != wanted.shape or array.dtype != wanted.dtype or not close:
                wrong.append(f"{case.name}: {array} is not {wanted}"[:300])
        agreed |= {node.op_type for node in case.model.graph.node}
    assert "\n".join(wrong) == ""
    assert set(HANDLERS) - agreed == UNTESTED


@pytest.mark.parametrize(
    ("attributes", "image", "kernel"),
    [
        ("group=2, strides=[2], pads=[0,1]", (5,), (3,)),
        ("strides=[2,3], pads=[1,0,2,1], output_padding=[1,2]", (5, 4), (3, 4)),
        ("dilations=[2,1], pads=[1,1,1,1]", (5, 4), (3, 2)),
        ("group=4, strides=[2,1,2], pads=[1,0,0,0,0,1]", (3, 4, 3), (2, 2, 3)),
    ],
)
@pytest.mark.parametrize("bias", ["", ", c"])
def test_conv_transpose_cuts_each_end_as_told(
    attributes: str, image: tuple[int, ...], kernel: tuple[int, ...], bias: str
) -> None:
    """Against the reference in float64, since ONNX's own data pad both ends alike."""
    groups = next((int(n) for n in "24" if f"group={n}" in attributes), 1)
    dims = ",".join(map(str, image))
    model = build(
        f"float[2,4,{dims}] x => float[{','.join('ABCDE'[: len(image) + 2])}] y",
        f"y = ConvTranspose<{attributes}>(x, w{bias})",
        w=(4, 8 // groups, *kernel),
        **({"c": (8,)} if bias else {}),
    )
    feeds = feeds_for(model)
    got, wanted = TorchRuntime().load(model).run(feeds)["y"], run(model, feeds, stored)["y"]
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=1e-5)
