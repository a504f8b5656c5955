"""Exports a recipe network with PyTorch's own exporters and compares it with ONNX Runtime."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

OPSET = 20


def assert_onnx_agrees(
    model: nn.Module, inputs: dict[str, Tensor], path: Path, *, dynamic: bool, dynamo: bool
) -> None:
    """Export with example inputs of batch 2, run on ``inputs``, compare with PyTorch in float32.

    What a recipe states about itself (example_inputs, dynamic_axes, output_names) is all that the
    export uses. The tolerance is 64 roundings of the largest output.
    """
    onnxruntime = pytest.importorskip("onnxruntime")
    examples = model.example_inputs(2)
    names = {"input_names": list(examples), "output_names": list(model.output_names)}
    axes = {}
    if dynamic and dynamo:
        axes = {"dynamic_shapes": model.dynamic_axes}
    elif dynamic:
        axes = {"dynamic_axes": model.dynamic_axes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = tuple(examples.values())
        torch.onnx.export(
            model, arguments, path, dynamo=dynamo, opset_version=OPSET, **names, **axes
        )

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == list(inputs)
    for value in session.get_inputs():
        expected: list[int | str] = list(examples[value.name].shape)
        if dynamic:
            for axis, name in model.dynamic_axes[value.name].items():
                expected[axis] = name
        assert value.shape == expected
    with torch.no_grad():
        expected_output = model(**inputs)
    (output,) = session.run(
        list(model.output_names), {name: value.numpy() for name, value in inputs.items()}
    )
    scale = expected_output.abs().max().item()
    error = (torch.from_numpy(output) - expected_output).abs().max().item()
    assert output.shape == expected_output.shape
    assert error <= 64 * torch.finfo(torch.float32).eps * scale
