"""From a model to its entry in a Triton Inference Server repository: the files and config.pbtxt."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from un_deploy.arguments.names import argument
from un_deploy.engines.plan.header import is_plan
from un_deploy.engines.plan.manifest import file_sha256
from un_deploy.errors import InputError, TargetError
from un_deploy.files import check_folder_inside, staged_directory
from un_deploy.json_form import JsonForm
from un_deploy.pipeline.triton.config import (
    Serving,
    batches_on_its_own,
    check_serving,
    make_config,
    triton_messages,
)
from un_deploy.pipeline.triton.served_model import ServedModel, read_onnx
from un_deploy.pipeline.triton.served_plan import read_plan
from un_deploy.printed import Part, Printed, Table, Typed, Words
from un_deploy.version import __version__

#: What is safe in a path, in the server's URLs, and in its metrics.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class TritonTensor:
    """An input or output as clients see it.

    Attributes:
        shape: -1 is any size.
        optional: clients may leave it out.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True)
class TritonReport(JsonForm, Printed):
    """What was written.

    Attributes:
        sha256: of the source, which was copied as it is.
        folder: of the model in the repository.
        model_version: its number in the repository.
        backend: which of Triton's backends runs it.
        tensorrt: the version that a plan needs; empty for ONNX.
        max_batch_size: rows that Triton may put into one batch; 0: it makes none.
        inputs, outputs: as clients see them.
        files: in the folder.
        notes: what its reader should know.
        serve: the command that starts a server on the repository, in a shell.
        ready: the one that asks this server whether the model is ready; it fails until it is.
    """

    source: str
    sha256: str
    folder: str
    name: str
    model_version: int
    backend: str
    tensorrt: str
    max_batch_size: int
    inputs: tuple[TritonTensor, ...]
    outputs: tuple[TritonTensor, ...]
    files: tuple[str, ...]
    config: str
    notes: tuple[str, ...]
    version: int = 1
    serve: str = ""
    ready: str = ""

    def told(self) -> Iterator[Part]:
        """What clients see, what was written, and what serves it."""
        rows = [
            (
                f"{role} {tensor.name}{' (optional)' if tensor.optional else ''}",
                tensor.type,
                ", ".join(map(str, tensor.shape)),
            )
            for role, tensors in (("input", self.inputs), ("output", self.outputs))
            for tensor in tensors
        ]
        yield Table(("tensor", "type", "shape that clients see"), rows)
        yield f"Runs in Triton's {self.backend} backend; max_batch_size {self.max_batch_size}."
        for note in self.notes:
            yield Words(f"Note: {note}.", "muted")
        for file in self.files:
            yield f"Wrote {self.folder}/{file}"
        yield "To serve it, and to ask whether it is ready:"
        yield Typed(self.serve)
        yield Typed(self.ready)


def write_triton(
    source: str | os.PathLike[str],
    repository: str | os.PathLike[str],
    *,
    name: str | None = None,
    version: int = 1,
    serving: Serving | None = None,
    force: bool = False,
) -> TritonReport:
    """Write a model's folder in a repository, whole or not at all.

    Args:
        source: an ONNX file, whose weights files are copied with it; or a plan of standard
            TensorRT, its manifest beside it.
        repository: its directory; it is made where only it is missing.
        name: of the model; the file's, without its ending, unless given.
        version: of the model, from 1.
        force: replace config.pbtxt and this version of a model that exists; what else is in its
            folder stays.

    Raises:
        InputError: the model cannot be read or served, or the name is none.
        TargetError: the folder exists or cannot be written; said before the work and at its end.
        MissingPackageError: tritonclient is not installed.
    """
    source, repository = Path(source), Path(repository)
    name = source.stem if name is None else name
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} is no name for a model in Triton: use letters, digits, '_', '-' and '.', "
            f"and give it with {argument('name')}"
        )
    if version >= 1 << 63:
        raise InputError(
            f"{argument('version')} is {version}, but Triton takes at most {(1 << 63) - 1}"
        )
    if version < 1:
        raise InputError(f"Triton ignores version {version}: versions begin at 1")
    folder = repository / name
    check_folder_inside(repository, name, force=force)
    check_serving(serving or Serving())
    model = read_plan(source) if is_plan(source) else read_onnx(source)
    config, notes = make_config(model, name, serving or Serving())
    from google.protobuf import text_format  # type: ignore[import-untyped]

    text = f"# Written by un-deploy {__version__}; SHA-256 of the model: {model.sha256}\n"
    text += text_format.MessageToString(config)
    placed = _placed(model)
    with _made(repository), staged_directory(folder, force=force) as new:
        if folder.exists():
            _keep(folder, new, besides={"config.pbtxt", str(version)})
        for place, file in placed.items():
            target = new / str(version) / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            if file == model.source and file_sha256(target) != model.sha256:
                raise InputError(f"{file} changed while it was read: start again")
        (new / "config.pbtxt").write_bytes(text.encode())
        newer = [v for v in _versions(new) if v > version]
    if newer:
        notes += (f"version {max(newer)} is there too, and Triton serves the latest alone",)
    return TritonReport(
        source=str(source),
        sha256=model.sha256,
        folder=str(folder),
        name=name,
        model_version=version,
        backend=config.backend,
        tensorrt=model.version,
        max_batch_size=config.max_batch_size,
        inputs=_seen(config, config.input),
        outputs=_seen(config, config.output),
        files=("config.pbtxt", *(f"{version}/{place}" for place in placed)),
        config=text,
        notes=notes,
        serve=_serve(repository, model, config),
        ready=f"curl -sf localhost:8000/v2/models/{name}/ready && echo ready",
    )


def _serve(repository: Path, model: ServedModel, config: Any) -> str:
    """The command that starts a server on the repository, with what this model needs of one."""
    command = ["tritonserver", f"--model-repository={repository.absolute()}"]
    if model.kind == "plan" and "--versionCompatible" in model.options:
        command.append("--backend-config=tensorrt,version-compatible=true")
    if batches_on_its_own(model, config):
        command.append("--disable-auto-complete-config")
    return shlex.join(command)


@contextmanager
def _made(repository: Path) -> Iterator[None]:
    """Make the repository where it is missing; nothing stays of it if the block fails."""
    is_new = not repository.exists()
    try:
        repository.mkdir(exist_ok=True)
    except OSError as error:
        raise TargetError(f"cannot make {repository}: {error.strerror or error}") from error
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):  # what somebody else put there stays
                repository.rmdir()
        raise


def _placed(model: ServedModel) -> dict[str, Path]:
    """The files to copy, by their place in the version's folder."""
    if model.kind == "plan":
        return {"model.plan": model.source}
    if not model.weights:
        return {"model.onnx": model.source}
    placed = {"model.onnx/model.onnx": model.source}  # a model of several files is a folder
    for place, file in model.weights.items():
        target = str(PurePosixPath("model.onnx", place))
        if target in placed:
            raise InputError(
                f"{model.source} keeps weights in a file called model.onnx, as Triton calls the "
                f"model itself: save it with another name for them"
            )
        placed[target] = file
    return placed


def _keep(old: Path, new: Path, besides: Collection[str]) -> None:
    """Carry over what a folder holds; files of any size at once, as second names of the same."""

    def link(file: str, target: str) -> None:
        try:
            os.link(file, target, follow_symlinks=False)
        except OSError:  # a file system without such names
            shutil.copy2(file, target, follow_symlinks=False)

    def ignored(folder: str, names: list[str]) -> set[str]:
        return set(names) & set(besides) if Path(folder) == old else set()

    shutil.copytree(old, new, symlinks=True, ignore=ignored, copy_function=link, dirs_exist_ok=True)


def _versions(folder: Path) -> Iterator[int]:
    """The versions that Triton sees."""
    for child in folder.iterdir():
        if child.is_dir() and re.fullmatch("[1-9][0-9]*", child.name):
            yield int(child.name)


def _seen(config: Any, fields: Any) -> tuple[TritonTensor, ...]:
    batch = (-1,) if config.max_batch_size else ()
    type_name = triton_messages().DataType.Name
    return tuple(
        TritonTensor(
            name=field.name,
            type=type_name(field.data_type),
            shape=(*batch, *field.dims),
            optional=getattr(field, "optional", False),
        )
        for field in fields
    )
