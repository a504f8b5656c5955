"""Sets the memory layouts of an engine's inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from un_deploy.arguments.names import argument
from un_deploy.engines.building.options import ENGINE_TYPES, FORMATS, BuildOptions, IoFormat
from un_deploy.engines.flavor import Flavor, described, library
from un_deploy.engines.log import listening
from un_deploy.errors import InputError, one_line

if TYPE_CHECKING:
    from tensorrt import INetworkDefinition, ITensor


def set_formats(network: INetworkDefinition, options: BuildOptions, flavor: Flavor) -> None:
    """Allow each input and output the layouts asked for; element types are the graph's.

    Raises:
        InputError: there are neither one nor as many formats as tensors, or TensorRT refuses one.
    """
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    _allow(inputs, options.input_formats, "input_formats", flavor)
    _allow(outputs, options.output_formats, "output_formats", flavor)


def _allow(
    tensors: Sequence[ITensor], formats: Sequence[IoFormat], option: str, flavor: Flavor
) -> None:
    trt = library(flavor)
    asked = one_format_per_tensor(formats, len(tensors), option)
    for tensor, wanted in zip(tensors, asked, strict=False):
        if tensor.dtype != getattr(trt.DataType, ENGINE_TYPES[wanted.type]):
            present = {member: name for name, member in ENGINE_TYPES.items()}[tensor.dtype.name]
            given = argument(option, str(wanted))
            raise InputError(f"{given} for {tensor.name}: in the graph it is {present}")
        mask = sum(1 << int(getattr(trt.TensorFormat, FORMATS[name])) for name in wanted.formats)
        with listening() as heard:
            tensor.allowed_formats = mask
        problems = [message.text for message in heard if message.is_problem]
        if problems:
            raise InputError(
                f"{described(flavor)} does not take {argument(option, str(wanted))} for "
                f"{tensor.name}: "
                f"{one_line(problems[0])}"
            )


def one_format_per_tensor(
    formats: Sequence[IoFormat], count: int, option: str
) -> Sequence[IoFormat]:
    """One format for each tensor; one alone is for all, none is none.

    Args:
        option: the field of `BuildOptions` that they are.

    Raises:
        InputError: there are fewer or more than tensors.
    """
    if len(formats) == 1:
        return list(formats) * count
    if formats and len(formats) != count:
        given = f"{argument(option)} has {len(formats)} formats for {count} tensors"
        raise InputError(f"{given}: one each, or one")
    return formats
