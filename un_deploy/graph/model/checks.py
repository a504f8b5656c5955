"""Checks a model before the rewriter touches it; each refusal names the culprit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import onnx.version_converter
import onnx_ir as ir
from onnx_ir.passes.common import CheckerPass

from un_deploy.errors import InputError, first_cause, one_line
from un_deploy.graph.model.mend import OLDEST_OPSET, mend, schema_of
from un_deploy.graph.model.message_forms import maps_of
from un_deploy.graph.model.notes import add_notes
from un_deploy.graph.model.tensor_storage import tensor_attributes
from un_deploy.install import how_to_install_package

#: Tensors up to this many bytes are shown to the checker.
_LARGE = 1 << 20

#: What ONNX Runtime knows in the main domain beside ONNX's own: its optimiser writes the first, and
#: exporters wrote the others when ONNX tried them.
_IN_MAIN_DOMAIN = {"SimplifiedLayerNormalization"}
_IN_MAIN_DOMAIN |= {"Affine", "Crop", "DynamicSlice", "GivenTensorFill", "GRUUnit", "ImageScaler"}
_IN_MAIN_DOMAIN |= {"ParametricSoftplus", "Scale", "ScaledTanh"}

#: A domain of which the checker knows no operators.
_OTHERS = "un_deploy.others"


def check_model(model: ir.Model, origin: str) -> None:
    """Check the model's structure, and mend what runtimes read all the same.

    What onnx.checker says against a model that is read is noted. It may not know an operator at its
    opset, as those that ONNX Runtime's optimiser writes into the main domain, or a domain that is
    not imported; an input or an output may have no shape.

    Args:
        model: mended in place, and noted: see `mend` and `notes_of`.
        origin: what messages call it, such as its path.

    Raises:
        InputError: an opset that is not known, or whatever else onnx.checker finds.
    """
    if not model.opset_imports:
        raise InputError(
            f"{origin} declares no opset, so that nobody can tell what its operators mean: export "
            f"or copy it again"
        )
    _check_opset(model, origin)
    said = _refusal(model)
    mend(model, origin)
    if not said:
        return
    with _without_numbers(model):
        known = _in_checkers_words(model)
    if reason := _refusal(known):
        raise InputError(f"{origin} is not valid ONNX: {reason}")
    if not maps_of(model):  # whose types it did not see
        add_notes(model, (f"onnx's checker refuses it, and it was read all the same: {said}",))


def _check_opset(model: ir.Model, origin: str) -> None:
    opset = model.opset_imports.get("", OLDEST_OPSET)
    newest = onnx.defs.onnx_opset_version()
    if opset < OLDEST_OPSET:
        raise InputError(f"{origin} uses opset {opset}, older than {OLDEST_OPSET}: {_cure(model)}")
    if opset > newest:
        raise InputError(
            f"{origin} uses opset {opset}, but onnx {onnx.__version__} knows none above {newest}: "
            f"{how_to_install_package('pip install --upgrade onnx')}"
        )


def _cure(model: ir.Model) -> str:
    """How a model of an older opset becomes a newer one: tried, since the converter may fail."""
    again = f"export it again with {OLDEST_OPSET} or a newer one"
    if any(node.op_type == "PRelu" for node in model.graph.all_nodes()):
        return f"{again} (onnx.version_converter leaves the slopes of PRelu along the wrong axis)"
    try:
        made = onnx.version_converter.convert_version(ir.to_proto(model), OLDEST_OPSET)
        onnx.checker.check_model(made, full_check=True)
    except Exception as error:  # the converter raises what it likes
        return f"{again}; onnx.version_converter cannot convert it ({one_line(first_cause(error))})"
    return (
        f"{again}, or save what onnx.version_converter.convert_version(onnx.load(FILE), "
        f"{OLDEST_OPSET}) makes of it"
    )


def _refusal(model: ir.Model) -> str:
    """What onnx.checker says against a model; nothing where it accepts it."""
    with _without_numbers(model):
        try:
            CheckerPass()(model)
        except (onnx.checker.ValidationError, ir.serde.SerdeError) as error:
            return one_line(first_cause(error)).removesuffix(".")
    return ""


def _in_checkers_words(model: ir.Model) -> ir.Model:
    """A copy in which all that the checker does not know stands where it does not look."""
    copy = model.clone()
    holders: list[ir.Model | ir.Function] = [copy, *copy.functions.values()]
    for holder in holders:
        for node in holder.graph.all_nodes():
            foreign = node.domain or node.op_type in _IN_MAIN_DOMAIN or onnx.defs.has(node.op_type)
            local = node.op_identifier() in copy.functions
            if foreign and not local and schema_of(node, holder.opset_imports) is None:
                node.domain = _OTHERS
    for holder in holders:
        holder.opset_imports[_OTHERS] = 1
    for value in (*copy.graph.inputs, *copy.graph.outputs):
        if value.type is None:
            value.type = ir.TensorType(ir.DataType.FLOAT)
        if value.shape is None:
            value.shape = ir.Shape([])
    return copy


@contextmanager
def _without_numbers(model: ir.Model) -> Iterator[None]:
    """Hide where external tensors lie, and what large ones hold, which the checker would copy.

    It would look for the external ones in the working directory. Of the main
    graph it gets larger ones than 1 kB as inputs, of nodes and bodies those that are large empty.
    """
    values = {v: v.const_value for graph in model.graphs() for v in graph.initializers.values()}
    attributes = list(tensor_attributes(model))
    for value, tensor in values.items():
        if isinstance(tensor, ir.ExternalTensor):
            value.const_value = _lazy(tensor)
        if tensor is not None and value.graph is not model.graph and _is_large(tensor):
            value.const_value = _empty(tensor)
    for node, attribute in attributes:
        if _is_large(tensor := attribute.as_tensor()):
            node.attributes[attribute.name] = ir.AttrTensor(attribute.name, _empty(tensor))
    try:
        yield
    finally:
        for value, tensor in values.items():
            value.const_value = tensor
        for node, attribute in attributes:
            node.attributes[attribute.name] = attribute


def _lazy(tensor: ir.ExternalTensor) -> ir.LazyTensor:
    return ir.LazyTensor(lambda: tensor, tensor.dtype, tensor.shape, name=tensor.name)


def _is_large(tensor: ir.TensorProtocol) -> bool:
    return tensor.dtype != ir.DataType.STRING and tensor.nbytes > _LARGE


def _empty(tensor: ir.TensorProtocol) -> ir.Tensor:
    return ir.Tensor(np.empty(0, tensor.dtype.numpy()), tensor.dtype, name=tensor.name)
