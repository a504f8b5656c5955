"""Builds a plan from an ONNX file, in either flavour."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from un_deploy.arguments.names import argument
from un_deploy.engines.building.config import as_named, configure
from un_deploy.engines.building.io_formats import set_formats
from un_deploy.engines.building.options import BuildOptions
from un_deploy.engines.building.progress import Progress, monitor
from un_deploy.engines.flavor import Flavor, described, library
from un_deploy.engines.kernels.inspected import engine_kernels
from un_deploy.engines.kernels.kernels import Kernel
from un_deploy.engines.log import Message, first_error, listening, logger
from un_deploy.engines.profiles import Profile
from un_deploy.errors import InputError, one_line
from un_deploy.files import atomic_write_bytes

if TYPE_CHECKING:
    from tensorrt import (
        Builder,
        IBuilderConfig,
        IHostMemory,
        INetworkDefinition,
        OnnxParser,
        ParserError,
    )

_MEMORY = {
    "scratch": re.compile(r"Max Scratch Memory: (\d+) bytes"),
    "activation": re.compile(r"Total Activation Memory: (\d+) bytes"),
    "weights": re.compile(r"Total Weights Memory: (\d+) bytes"),
}


@dataclass(frozen=True)
class Built:
    """A plan and what its builder told of it.

    Attributes:
        plan: the serialized engine.
        kernels: of the engine, for the first compute capability where there are several; empty
            where TensorRT does not tell.
        shape_inputs: inputs that the network reads as a shape: the profiles give their values.
        memory: bytes on the device by "scratch", "activation" and "weights", as far as told.
        warnings: what the library warned of, and why it tells of no kernels.
        seconds: that the build took.
    """

    plan: bytes
    kernels: tuple[Kernel, ...]
    memory: dict[str, int]
    warnings: tuple[str, ...]
    seconds: float
    shape_inputs: tuple[str, ...] = ()


def build_engine(
    path: Path,
    *,
    origin: str,
    flavor: Flavor,
    options: BuildOptions | None = None,
    profiles: Sequence[Profile] = (),
    progress: Progress = lambda phase, done, steps: None,
) -> Built:
    """Build a strongly typed engine: every tensor has the type that the graph gives it.

    Engines are built with DETAILED verbosity, since their precision and their kernels are read
    from what they tell of their layers; the plan names the ONNX nodes for that. Messages call the
    ONNX file by its origin; the profiles have passed `un_deploy.engines.profiles.check_profiles`.

    Raises:
        MissingPackageError: the flavour is not installed.
        InputError: TensorRT does not start, does not take the graph or an option, or fails.
    """
    options = options or BuildOptions()
    trt = library(flavor)
    start = time.perf_counter()
    with listening() as heard:
        builder = _builder(flavor, heard)
        # The parser holds the weights, so it stays until the engine is built.
        network, _parser = _parsed(builder, path, origin, flavor)
        set_formats(network, options, flavor)
        config = builder.create_builder_config()
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        configure(config, options, flavor)
        shape_inputs = _shape_inputs(network, profiles)
        for number, profile in enumerate(profiles):
            _add_profile(builder, config, profile, number, flavor, shape_inputs)
        memory = _serialized(builder, network, config, flavor, progress)
    if memory is None:
        _settle(builder, flavor)
        given = f" with {' '.join(named)}" if (named := as_named(options)) else ""
        raise InputError(f"{described(flavor)} cannot build {origin}{given}: {first_error(heard)}")
    if options.timing_cache is not None:
        cache = bytes(config.get_timing_cache().serialize())
        atomic_write_bytes(options.timing_cache, cache, force=True)
    seconds = time.perf_counter() - start
    plan = bytes(memory)
    kernels: tuple[Kernel, ...] = ()
    warnings = [m.text for m in heard if m.severity == "WARNING"]
    layers = next((m.text for m in heard if m.text.startswith("Layers:")), "")
    portable = options.version_compatible
    try:
        kernels = engine_kernels(layers, plan, origin=origin, flavor=flavor, portable=portable)
    except InputError as error:
        warnings.append(f"the engine's kernels are not known: {error}")
    return Built(plan, kernels, _memory(heard), tuple(warnings), seconds, shape_inputs)


def _builder(flavor: Flavor, heard: list[Message]) -> Builder:
    trt = library(flavor)
    try:
        return trt.Builder(logger(flavor))
    except (RuntimeError, TypeError) as error:  # the bindings' factory returned nothing
        reason = first_error(heard) if heard else "does this machine have a GPU and its driver?"
        raise InputError(f"{described(flavor)} does not start: {reason}") from error


def _parsed(
    builder: Builder, path: Path, origin: str, flavor: Flavor
) -> tuple[INetworkDefinition, OnnxParser]:
    trt = library(flavor)
    # The flag's number differs from version to version; a network of TensorRT 11 has it always.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger(flavor))
    if not parser.parse_from_file(str(path)):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        found = "; ".join(_parser_error(parser, error) for error in errors)
        raise InputError(f"{described(flavor)} cannot take {origin}: {found or 'no reason given'}")
    return network, parser


def _parser_error(parser: OnnxParser, error: ParserError) -> str:
    """Which node, and why; of an operator that it does not have, TensorRT says "false" at times."""
    operator = error.node_operator()
    why = "it has no such operator, nor a plugin of that name"
    if not operator or parser.supports_operator(operator):
        why = one_line(error.desc())
    return f"{operator} {error.node_name()!r}: {why}"


def _shape_inputs(network: INetworkDefinition, profiles: Sequence[Profile]) -> tuple[str, ...]:
    """The inputs that are read as a shape, of which every profile has to give the values."""
    found = []
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        name, shape = tensor.name, tuple(tensor.shape)
        if tensor.is_shape_tensor:
            found.append(name)
            count = prod(shape)
            if not profiles or any(name not in p or len(p[name].opt) != count for p in profiles):
                values = "x".join(str(index + 2) for index in range(count))
                raise InputError(
                    f"the network reads input {name} as a shape, so every profile has to give its "
                    f"{count} values, as in {argument('profiles')} {name}:{values}"
                )
        for profile in profiles:
            given = profile.get(name)
            if not tensor.is_shape_tensor and given and len(given.opt) != len(shape):
                raise InputError(
                    f"a profile gives input {name} a shape of {len(given.opt)} axes, and it has "
                    f"{len(shape)}; only what the network reads as a shape is given by its values"
                )
    return tuple(found)


def _add_profile(
    builder: Builder,
    config: IBuilderConfig,
    profile: Profile,
    number: int,
    flavor: Flavor,
    shape_inputs: Collection[str],
) -> None:
    made = builder.create_optimization_profile()
    with listening() as heard:
        try:
            for name, shapes in profile.items():
                if name in shape_inputs:
                    values = list(shapes.min), list(shapes.opt), list(shapes.max)
                    made.set_shape_input(name, *values)
                else:
                    made.set_shape(name, shapes.min, shapes.opt, shapes.max)
        except (RuntimeError, TypeError, ValueError) as error:
            raise InputError(
                f"{described(flavor)} refuses profile {number} for {name}: {one_line(error)}"
            ) from error
        index = config.add_optimization_profile(made)
    if index < 0:
        raise InputError(f"{described(flavor)} refuses profile {number}: {first_error(heard)}")


def _serialized(
    builder: Builder,
    network: INetworkDefinition,
    config: IBuilderConfig,
    flavor: Flavor,
    progress: Progress,
) -> IHostMemory | None:
    """Build in a thread of its own, so that Ctrl-C reaches this one and ends the build in order."""
    cancelled = Event()
    watching = monitor(flavor, progress, cancelled)
    config.progress_monitor = watching
    with ThreadPoolExecutor(max_workers=1) as pool:
        built: Future[IHostMemory] = pool.submit(builder.build_serialized_network, network, config)
        try:
            return built.result()
        except BaseException:
            cancelled.set()
            raise


def _settle(builder: Builder, flavor: Flavor) -> None:
    """Build a network of one layer after a failure, and throw it away.

    TensorRT-RTX 1.7 fuses less in the first build after one that failed in the same process, so
    that the same file gives another plan (docs/decisions.md).
    """
    trt = library(flavor)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    only = network.add_input("x", trt.float32, (1, 1))
    network.mark_output(network.add_activation(only, trt.ActivationType.RELU).get_output(0))
    builder.build_serialized_network(network, builder.create_builder_config())


def _memory(heard: Sequence[Message]) -> dict[str, int]:
    found = {}
    for name, pattern in _MEMORY.items():
        values = [int(m.group(1)) for said in heard if (m := pattern.search(said.text))]
        if values:
            found[name] = max(values)
    return found
