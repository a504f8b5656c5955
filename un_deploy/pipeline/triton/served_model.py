"""What a server has to know of a model: its tensors and files, from an ONNX file or a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import onnx_ir
import sympy

from un_deploy.engines.plan.manifest import file_sha256
from un_deploy.engines.profiles import Profile
from un_deploy.errors import InputError
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.model.input_specs import Dim, TensorSpec, input_specs
from un_deploy.graph.model.model_file import load_model, weights_files


@dataclass(frozen=True)
class ServedTensor:
    """An input or output; its dimensions as `Dim` has them, its element type by NumPy's name."""

    name: str
    dtype: str
    shape: tuple[Dim, ...]


@dataclass(frozen=True)
class ServedModel:
    """A model that a server is to load.

    Attributes:
        source: the file that was read.
        kind: an ONNX file or a TensorRT plan.
        inputs, outputs: what is fed and what comes out.
        weights: an ONNX model's weights files, by the place beside it at which it looks for them.
        profiles: a plan's optimisation profiles; empty for ONNX.
        flavor, version: of the TensorRT that built a plan; empty for ONNX.
        options: of that build, as trtexec spells them.
    """

    source: Path
    kind: Literal["onnx", "plan"]
    sha256: str
    inputs: tuple[ServedTensor, ...]
    outputs: tuple[ServedTensor, ...]
    weights: Mapping[str, Path] = field(default_factory=dict)
    profiles: tuple[Profile, ...] = ()
    flavor: str = ""
    version: str = ""
    options: tuple[str, ...] = ()

    @property
    def tensors(self) -> tuple[ServedTensor, ...]:
        """Inputs, then outputs."""
        return (*self.inputs, *self.outputs)


def read_onnx(path: Path) -> ServedModel:
    """Read an ONNX file, its weights beside it.

    Raises:
        InputError: the file or its weights are missing, damaged or of another kind, or it does not
            say what its tensors are.
    """
    model = load_model(path)
    shapes = Shapes(model)
    return ServedModel(
        source=path,
        kind="onnx",
        sha256=file_sha256(path),
        inputs=tuple(_input(spec) for spec in input_specs(model)),
        outputs=tuple(_output(value, shapes, path) for value in model.graph.outputs),
        weights=_weights(path),
    )


def _weights(path: Path) -> dict[str, Path]:
    files = weights_files(path)
    for place in map(PurePosixPath, files):
        if place.is_absolute() or ".." in place.parts:
            raise InputError(f"{path} keeps weights at {place}: save it with them beside it")
    return files


def _input(spec: TensorSpec) -> ServedTensor:
    assert spec.shape is not None  # the check on loading refuses an input without
    return ServedTensor(spec.name, spec.dtype.name, spec.shape)


def _output(value: onnx_ir.Value, shapes: Shapes, path: Path) -> ServedTensor:
    """Sizes as its operators give them: a file may call the dimensions of its outputs anything."""
    name = str(value.name)
    if not isinstance(value.type, onnx_ir.TensorType):
        raise InputError(f"{path}, output {name} is no tensor of a known type: {value.type}")
    if name in shapes.contradictions:
        raise InputError(f"{path}, output {name}: {shapes.contradictions[name]}; export it anew")
    assert value.shape is not None  # the check on loading refuses an output without
    found = shapes.of(value) or (None,) * len(value.shape)
    dims: list[Dim] = []
    for said, dim in zip(value.shape.dims, found, strict=True):
        if isinstance(dim, int):
            dims.append(dim)
        elif isinstance(said, int) and said >= 0:
            dims.append(said)
        else:
            nameless = dim is None or isinstance(dim, sympy.Dummy)
            dims.append(None if nameless else str(dim))
    return ServedTensor(name, np.dtype(value.type.dtype.numpy()).name, tuple(dims))
