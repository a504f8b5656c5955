"""A TensorRT plan from outside: its header, and the manifest beside it that says what is in it.

TensorRT alone can read a plan, and needs a GPU for it. So everything that is said of a plan here
comes from ``PLAN.json``, which is written with the plan and holds its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from un_deploy.errors import InputError

#: How plans are called; what is none although it is called so is refused as a damaged plan.
SUFFIXES = {".plan", ".engine", ".trt"}

#: What plans begin with: magic, the whole size at bytes 16 to 24 (observed, not documented).
_MAGIC = (b"ftrt", b"vtrt")
_HEADER = 64

Shape = tuple[int, ...]
Tensor = tuple[str, str, tuple[int | str | None, ...]]
"""Name, element type by NumPy's name, shape: a name or None for a size that is dynamic."""

#: Where ONNX's name of an element type is not NumPy's.
_DTYPES = {"float": "float32", "double": "float64"}


@dataclass(frozen=True)
class Range:
    """The shapes of one input that an optimisation profile allows; opt is what it is tuned for."""

    min: Shape
    opt: Shape
    max: Shape


Profile = Mapping[str, Range]
"""By input."""


@dataclass(frozen=True)
class PlanManifest:
    """What the manifest says.

    Attributes:
        flavor: tensorrt or tensorrt-rtx.
        version: of the TensorRT that built the plan.
        sha256: of the plan; it was compared with the file.
        inputs, outputs: its tensors.
        profiles: in the plan's order; empty where every shape is fixed.
        options: of its build, as trtexec spells them.
    """

    flavor: str
    version: str
    sha256: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    profiles: tuple[Profile, ...]
    options: tuple[str, ...]


def is_plan(path: Path) -> bool:
    """Whether a file is a plan, or is called one."""
    if path.suffix in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(4) in _MAGIC
    except OSError:
        return False


def read_manifest(path: Path) -> PlanManifest:
    """Read a plan's manifest and compare it with the plan.

    Args:
        path: of the plan.

    Raises:
        InputError: the plan is missing, cut off or no plan; the manifest is missing, damaged or
            another plan's.
    """
    _check_header(path)
    file = path.with_name(f"{path.name}.json")
    try:
        manifest = _parse(json.loads(file.read_text(encoding="utf-8")), file)
    except FileNotFoundError as error:
        raise InputError(
            f"{path} has no manifest {file.name} beside it, and TensorRT alone can tell what is in "
            f"a plan: put it there, or build the plan with un-deploy build"
        ) from error
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} is no manifest of a plan ({type(error).__name__}: {error}): build the plan "
            f"anew"
        ) from error
    if manifest.sha256 != sha256(path):
        raise InputError(f"{file} is the manifest of another plan than {path}: copy both anew")
    _check_profiles(manifest, file)
    return manifest


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal.

    Raises:
        InputError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(header) < _HEADER or header[:4] not in _MAGIC:
        raise InputError(f"{path} is no TensorRT plan, or was cut off: build or copy it again")
    if (told := int.from_bytes(header[16:24], "little")) != size:
        raise InputError(f"{path} holds {size} bytes, its header says {told}: copy it again")


def _check_profiles(manifest: PlanManifest, file: Path) -> None:
    for name, _, shape in manifest.inputs:
        dynamic = not all(isinstance(size, int) for size in shape)
        if dynamic and not manifest.profiles:
            raise InputError(f"{file} has no profile for the dynamic input {name}: build anew")
        for index, profile in enumerate(manifest.profiles):
            ranks = {len(s) for r in [profile.get(name)] if r for s in (r.min, r.opt, r.max)}
            if ranks != {len(shape)} and (ranks or dynamic):
                raise InputError(
                    f"{file}: profile {index} has no shapes of rank {len(shape)} for {name}: build "
                    f"the plan anew"
                )


def _parse(data: dict[str, Any], file: Path) -> PlanManifest:
    """The one place that knows the manifest's keys."""
    return PlanManifest(
        flavor=str(data["flavor"]),
        version=str(data["tensorrt"]),
        sha256=str(data["sha256"]),
        inputs=tuple(_tensor(tensor, file) for tensor in data["inputs"]),
        # A graph may call the dimensions of its outputs anything, so their names say nothing.
        outputs=tuple(_nameless(_tensor(tensor, file)) for tensor in data["outputs"]),
        profiles=tuple(
            {name: _range(shapes) for name, shapes in profile.items()}
            for profile in data["profiles"]
        ),
        options=tuple(str(option) for option in data["options"]),
    )


def _tensor(data: dict[str, Any], file: Path) -> Tensor:
    name, dtype = str(data["name"]), str(data["dtype"])
    if data["shape"] is None:
        raise InputError(f"{file} does not say the rank of {name}: build from a graph that does")
    if data["format"] != "chw":
        raise InputError(
            f"{file}: {name} is laid out as {data['format']}, but clients of a server send and get "
            f"chw: build the plan with that"
        )
    sizes = (None if isinstance(size, int) and size < 0 else size for size in data["shape"])
    return name, _DTYPES.get(dtype, dtype), tuple(sizes)


def _nameless(tensor: Tensor) -> Tensor:
    name, dtype, shape = tensor
    return name, dtype, tuple(size if isinstance(size, int) else None for size in shape)


def _range(data: dict[str, Any]) -> Range:
    low, opt, high = (tuple(int(size) for size in data[key]) for key in ("min", "opt", "max"))
    return Range(low, opt, high)
