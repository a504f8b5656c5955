"""What a server has to know of a model: its tensors and files, from an ONNX file or a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
import onnx_ir
import sympy

from un_deploy.engines.plan.manifest import file_sha256
from un_deploy.engines.profiles import Profile
from un_deploy.errors import InputError
from un_deploy.graph.analysis.dims import Shape
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.model.input_specs import Dim, TensorSpec, input_specs
from un_deploy.graph.model.model_file import load_model, weights_files
from un_deploy.pipeline.triton.branches import output_shapes

_INVENTED = "the batch"
"""Name of the batch where the file has none for it."""


@dataclass(frozen=True)
class ServedTensor:
    """An input or output; its dimensions as `Dim` has them, its element type by NumPy's name.

    Attributes:
        rows_unknown: it is an output whose first dimension its operators do not give, since it
            depends on values, or comes out of a loop.
    """

    name: str
    dtype: str
    shape: tuple[Dim, ...]
    rows_unknown: bool = False


@dataclass(frozen=True)
class ServedModel:
    """A model that a server is to load.

    Attributes:
        source: the file that was read.
        kind: an ONNX file or a TensorRT plan.
        inputs, outputs: what is fed and what comes out.
        optional: inputs that have a default, which a client may replace.
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
    optional: tuple[ServedTensor, ...] = ()
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
    inputs = tuple(_input(spec) for spec in input_specs(model))
    optional = tuple(_with_default(model))
    nameless = _name_batch(model, inputs)
    shapes = Shapes(model)
    return ServedModel(
        source=path,
        kind="onnx",
        sha256=file_sha256(path),
        inputs=inputs,
        outputs=tuple(
            _output(value, shape, shapes.contradictions, path, nameless)
            for value, shape in zip(model.graph.outputs, output_shapes(model, shapes), strict=True)
        ),
        optional=optional,
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


def _with_default(model: onnx_ir.Model) -> Iterator[ServedTensor]:
    """As ONNX Runtime tells: before version 4 of the format initializers had to be inputs."""
    for value in model.graph.inputs if (model.ir_version or 0) >= 4 else ():
        default = model.graph.initializers.get(value.name or "")
        if default is not None and default.const_value is not None:
            array = default.const_value
            shape = tuple(int(size) for size in array.shape.numpy())
            yield ServedTensor(str(value.name), np.dtype(array.dtype.numpy()).name, shape)


def _name_batch(model: onnx_ir.Model, inputs: Sequence[ServedTensor]) -> str:
    """Give the inputs' nameless first dimensions the name of the others'.

    Triton takes them for the same; so the shapes behind them are inferred for that case. Returned
    is the name, where it is an invented one.
    """
    firsts = [tensor.shape[0] for tensor in inputs if tensor.shape]
    name = next((dim for dim in firsts if isinstance(dim, str)), None)
    nameless = {tensor.name for tensor in inputs if tensor.shape[:1] == (None,)}
    for value in model.graph.inputs:
        if value.name in nameless and value.shape is not None:
            value.shape = onnx_ir.Shape([name or _INVENTED, *value.shape.dims[1:]])
    return "" if name else _INVENTED


def _output(
    value: onnx_ir.Value,
    shape: Shape | None,
    contradictions: Mapping[str, str],
    path: Path,
    nameless: str,
) -> ServedTensor:
    """Sizes as its operators give them: a file may call the dimensions of its outputs anything."""
    name = str(value.name)
    if not isinstance(value.type, onnx_ir.TensorType):
        raise InputError(f"{path}, output {name} is no tensor of a known type: {value.type}")
    if name in contradictions:
        raise InputError(f"{path}, output {name}: {contradictions[name]}; export it anew")
    assert value.shape is not None  # the check on loading refuses an output without
    found = (None,) * len(value.shape) if shape is None else shape
    dims: list[Dim] = []
    for said, dim in zip(value.shape.dims, found, strict=True):
        if isinstance(dim, int):
            dims.append(dim)
        elif isinstance(said, int) and said >= 0:
            dims.append(said)
        else:
            dims.append(None if _unknown(dim) or str(dim) == nameless else str(dim))
    dtype = np.dtype(value.type.dtype.numpy()).name
    return ServedTensor(name, dtype, tuple(dims), bool(found) and _unknown(found[0]))


def _unknown(dim: object) -> bool:
    """Whether a dimension depends on more than the sizes of the inputs."""
    return dim is None or (isinstance(dim, sympy.Expr) and bool(dim.atoms(sympy.Dummy)))
