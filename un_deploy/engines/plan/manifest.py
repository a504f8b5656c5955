"""The manifest beside a plan: where the plan comes from, its inputs, its profiles, its checksum.

A plan is code for a GPU. One that was changed, or is not what its manifest says, is not loaded;
one from a stranger should not be loaded either way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
from packaging.version import Version

from un_deploy.engines.flavor import Flavor
from un_deploy.engines.plan.header import read_header
from un_deploy.engines.profiles import Profile
from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import TensorSpec
from un_deploy.graph.precision.convert import LiftedOpset
from un_deploy.json_form import JsonForm, from_dict, read_object

MANIFEST_VERSION = 1


@dataclass(frozen=True)
class PlanTensor:
    """An input or output of a plan.

    Attributes:
        name: as in the graph.
        dtype: ONNX's name of the element type, in small letters: "float", "float16", "int64", ...
        shape: sizes; a name where one is dynamic, None where even that is unknown; None for all
            where the rank is unknown.
        format: the layouts allowed, as trtexec names them.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None
    format: str = "chw"


def open_sizes(tensor: PlanTensor) -> tuple[int | str | None, ...] | None:
    """The shape of a tensor; a size that some exporters write as -1 is dynamic too."""
    if tensor.shape is None:
        return None
    return tuple(None if isinstance(dim, int) and dim < 0 else dim for dim in tensor.shape)


def input_spec(tensor: PlanTensor) -> TensorSpec:
    """An input of a plan as runtimes speak of inputs."""
    dtype = np.dtype(ir.DataType[tensor.dtype.upper()].numpy())
    return TensorSpec(tensor.name, dtype, open_sizes(tensor))


@dataclass(frozen=True)
class Manifest(JsonForm):
    """What is known of a plan.

    Attributes:
        sha256, bytes: of the plan.
        flavor: of TensorRT.
        tensorrt: its version.
        precision: that was asked for; None: as the graph had it.
        inputs, outputs: in the graph's order.
        profiles: the shapes that it takes.
        options: those that were not at their default, as trtexec spells them.
        compute_capabilities: it was built for; empty: the library's own choice, which is 8.0 and
            later of those that it builds for at all.
        memory: bytes on the device, as the builder told.
        source: name of the ONNX file.
        source_sha256: of that file, without its external weights; empty for a model in memory.
        un_deploy: the version that built it.
        tf32: whether its products of fp32 may be computed in TF32. Older manifests do not tell: of
            their plans they may.
        lifted_opset: what the conversion to the precision made of the graph's opset; None: it
            stayed, or the manifest is older.
        version: of this form.
    """

    sha256: str
    bytes: int
    flavor: Flavor
    tensorrt: str
    precision: str | None
    inputs: tuple[PlanTensor, ...]
    outputs: tuple[PlanTensor, ...]
    profiles: tuple[Profile, ...]
    options: tuple[str, ...]
    compute_capabilities: tuple[str, ...]
    memory: Mapping[str, int]
    source: str
    source_sha256: str
    un_deploy: str
    tf32: bool = True
    lifted_opset: LiftedOpset | None = None
    version: int = MANIFEST_VERSION

    @property
    def portable(self) -> bool:
        """Whether it also loads in later versions, for which it holds host code."""
        return "--versionCompatible" in self.options

    def loads_in(self, version: Version) -> bool:
        """Whether TensorRT of a version loads it, as far as that version is told."""
        here = version.release
        built = Version(self.tensorrt).release[: len(here)]
        return built == here or (self.portable and built < here)


def manifest_path(plan: Path) -> Path:
    """Where the manifest of a plan is: ``MODEL.plan.json`` beside ``MODEL.plan``."""
    return plan.parent / f"{plan.name}.json"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """Of a file of any size, in hexadecimal.

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


def load_plan(path: Path) -> tuple[bytes, Manifest]:
    """Read a plan and its manifest; both must tell the same.

    Raises:
        InputError: one is missing or damaged, or they differ.
    """
    plan = _bytes(path, "build it with un-deploy build")
    header = read_header(plan, str(path))
    manifest = read_manifest(path)
    beside = manifest_path(path)
    if sha256(plan) != manifest.sha256:
        raise InputError(
            f"{path} is not the plan that {beside} was written for (its SHA-256 differs): build "
            "or copy both again"
        )
    if header.flavor != manifest.flavor or not header.is_of(manifest.tensorrt):
        found = ".".join(map(str, header.version))
        raise InputError(
            f"{path} is of {header.flavor} {found}, {beside} says {manifest.flavor} "
            f"{manifest.tensorrt}: build both again"
        )
    return plan, manifest


def read_manifest(plan: Path) -> Manifest:
    """The manifest of a plan, without a look at the plan.

    Raises:
        InputError: it is missing, damaged, or of a version that is not known.
    """
    path = manifest_path(plan)
    text = _bytes(path, "a plan is only used with the manifest of its build")
    try:
        given = read_object(text)
        if given.get("version") == MANIFEST_VERSION:
            return from_dict(Manifest, given)
    except InputError as error:
        raise InputError(f"{path} is no manifest of a plan ({error}): build it again") from error
    raise InputError(
        f"{path} is of form {given.get('version')}, this un-deploy knows {MANIFEST_VERSION}: build "
        "the plan again"
    )


def _bytes(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: {remedy}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
