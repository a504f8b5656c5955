"""ONNX files in and out: loaded with lazy weights and checked, saved whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from un_deploy.errors import InputError, first_cause, one_line
from un_deploy.files import PLAN_BEGINS, staged
from un_deploy.graph.model.check_message import check_message
from un_deploy.graph.model.checks import check_model
from un_deploy.graph.model.message_forms import keep_maps, to_message, without_odd_forms
from un_deploy.graph.model.notes import add_notes
from un_deploy.graph.model.read_model import THIS_FILE, read_model
from un_deploy.graph.model.tensor_storage import external_tensors, leave_message, own_tensors
from un_deploy.graph.model.write_model import write_model

#: Weights beyond this many bytes go to a file of their own: protobuf ends at 2 GiB, and the nodes
#: need room too.
_INLINE_LIMIT = 1_900_000_000

#: Constants up to this many bytes stay in the model file, where shape inference can read them.
_KEPT_INSIDE = 256


def load_model(path: str | os.PathLike[str]) -> ir.Model:
    """Load and check an ONNX file; weights in external files are read when they are needed.

    The weights' values are not looked at: see `check_weights`.

    Raises:
        InputError: the file or a weights file is missing, cut off or of another kind; the model
            is not valid, or of an opset that the rewriter does not know.
    """
    path = Path(path)
    model = from_proto(_read(path), str(path))
    leave_message(model, path)
    directory = path.absolute().parent
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        ir.external_data.set_base_dir(graph, directory)
    own_tensors(model, str(path), path)
    check_model(model, str(path))
    return model


def save_model(model: ir.Model, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Save a model whole or not at all; the same model gives the same bytes.

    Weights go to ``<path>.data`` beside the model when they exceed 1.9 GB, or when the model came
    with external data; lazy tensors are computed one at a time. Saving over the file that the
    model was loaded from works: its weights are then read from the new file, and external tensors
    of the old one that other models hold raise when they are read.

    Args:
        model: keeps its values; see above for the one case in which they are held anew.
        path: of the model file.
        force: replace what exists.

    Raises:
        TargetError: a target exists, is a directory, or cannot be written.
    """
    path = Path(path)
    if not has_external(model) and _weight_bytes(model) <= _INLINE_LIMIT:
        with staged(path, force=force) as (place,), place.open("wb") as file:
            write_model(model, file)
        return
    data = data_path(path)
    values = [v for graph in model.graphs() for v in graph.initializers.values()]
    held = [value.const_value for value in values]
    replaced = [t for t in held if isinstance(t, ir.ExternalTensor) and _same_file(t.path, data)]
    moved = False
    try:
        with staged(data, path, force=force) as (_, place):
            ir.external_data.unload_from_model(
                model, place.parent, data.name, size_threshold_bytes=_KEPT_INSIDE
            )
            for value, old in zip(values, held, strict=True):
                _keep_notes(value.const_value, old)
            onnx.save(to_message(model), place, format="protobuf")
        moved = bool(replaced)
    finally:
        if not moved:
            for value, old in zip(values, held, strict=True):
                value.const_value = old
    if moved:
        ir.external_data.set_base_dir(model.graph, data.absolute().parent)
        for tensor in replaced:
            tensor.invalidate()


def data_path(path: Path) -> Path:
    """Where `save_model` puts the weights that do not go into a model's own file."""
    return path.parent / f"{path.name}.data"


def weights_files(path: Path) -> dict[str, Path]:
    """The weights files of an ONNX file, by the names that it has for them.

    Read from the file itself: a loaded model holds external tensors inside nodes in memory.

    Raises:
        InputError: it cannot be read, or is not valid.
    """
    model = from_proto(_read(path), str(path))
    places = dict.fromkeys(str(tensor.location) for _, tensor in external_tensors(model))
    return {place: path.parent / place for place in places if place != THIS_FILE}


def hold_weights(model: ir.Model) -> None:
    """Read external weights into memory, so that `save_model` writes one file where it can."""
    if _weight_bytes(model) <= _INLINE_LIMIT:
        ir.external_data.load_to_model(model)


def from_proto(proto: onnx.ModelProto, origin: str) -> ir.Model:
    """Read a ModelProto, and note what of it onnx-ir cannot hold: see `without_odd_forms`.

    The tensors of the result refer to the proto's.

    Raises:
        InputError: says what is wrong with the model.
    """
    if not proto.HasField("graph"):
        raise InputError(f"{origin} holds no graph: it is no ONNX model, or was cut off")
    check_message(proto, origin)
    plain, notes = without_odd_forms(proto, origin)
    try:
        model = ir.from_proto(plain)
    except Exception as error:  # onnx-ir wraps whatever went wrong, one layer per nesting
        raise InputError(f"{origin} is not valid ONNX: {one_line(first_cause(error))}") from error
    if "ai.onnx" in model.opset_imports and "" not in model.opset_imports:
        imports = {k.removeprefix("ai.onnx") or "": v for k, v in model.opset_imports.items()}
        model.opset_imports.clear()
        model.opset_imports.update(imports)
    keep_maps(model, proto)
    add_notes(model, tuple(notes))
    return model


def _read(path: Path) -> onnx.ModelProto:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise InputError(f"{path} is a directory: name the .onnx file in it")
        if not stat.S_ISREG(found.st_mode):  # a pipe would wait for a writer
            raise InputError(f"{path} is a device or a pipe: save the model to a file first")
        if found.st_size == 0:
            raise InputError(f"{path} is empty: export or copy it again")
        return read_model(path)
    except DecodeError as error:
        with path.open("rb") as file:
            if file.read(4) in PLAN_BEGINS:
                raise InputError(
                    f"{path} is a TensorRT plan, which holds no graph to read: give the ONNX file "
                    "that it was built of"
                ) from error
        raise InputError(
            f"{path} is not an ONNX file, or was cut off: export or copy it again"
        ) from error
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the name") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def has_external(model: ir.Model) -> bool:
    """Whether a weight lies in a file of its own."""
    return any(isinstance(tensor, ir.ExternalTensor) for tensor in _weights(model))


def _weights(model: ir.Model) -> list[ir.TensorProtocol | None]:
    return [v.const_value for g in model.graphs() for v in g.initializers.values()]


def _weight_bytes(model: ir.Model) -> int:
    return sum(tensor.nbytes for tensor in _weights(model) if tensor is not None)


def _same_file(first: str, second: Path) -> bool:
    try:
        return second.samefile(first)
    except OSError:
        return False


def _keep_notes(new: ir.TensorProtocol | None, old: ir.TensorProtocol | None) -> None:
    """onnx-ir forgets a tensor's doc string and metadata when it goes to a file."""
    if new is not None and old is not None and new is not old:
        new.doc_string = old.doc_string
        new.metadata_props.update(old.metadata_props)
