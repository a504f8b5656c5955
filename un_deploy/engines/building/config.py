"""Puts the options into a builder's configuration; each takes effect or is refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from un_deploy.arguments.names import argument
from un_deploy.engines.building.options import HARDWARE_LEVELS, MEMORY_POOLS, BuildOptions
from un_deploy.engines.flavor import TITLES, Flavor, described, library
from un_deploy.engines.log import listening
from un_deploy.errors import InputError, one_line
from un_deploy.gpu import check_tf32_override

if TYPE_CHECKING:
    from tensorrt import IBuilderConfig

SILENTLY_IGNORED: dict[Flavor, tuple[str, ...]] = {
    "tensorrt": (),
    "tensorrt-rtx": ("builder_optimization_level",),
}
"""What a flavour takes without a word and without any effect: a test looks at the plans."""

Setting = tuple[str, Callable[[], object]]
"""An option as messages name it, and what puts it into effect."""


def configure(config: IBuilderConfig, options: BuildOptions, flavor: Flavor) -> None:
    """Apply options to a ``trt.IBuilderConfig``.

    Raises:
        InputError: an option that the flavour does not have, ignores, warns of or refuses; or TF32
            where the environment forbids it.
    """
    if options.tf32:
        check_tf32_override()
    for name, value in options.given().items():
        if name in SILENTLY_IGNORED[flavor]:
            raise InputError(f"{TITLES[flavor]} ignores {argument(name, value)}: leave it out")
    for asked, apply in _settings(config, options, flavor):
        _take(asked, apply, flavor)


def as_trtexec_flags(options: BuildOptions) -> list[str]:
    """The options that are not at their default, as they are spelled."""
    flags = [f"--memPoolSize={name}:{size}B" for name, size in options.memory_pools.items()]
    if options.builder_optimization_level is not None:
        flags.append(f"--builderOptimizationLevel={options.builder_optimization_level}")
    if options.timing_cache is not None:
        flags.append(f"--timingCacheFile={options.timing_cache}")
    flags += ["--versionCompatible"] if options.version_compatible else []
    if options.hardware_compatibility is not None:
        flags.append(f"--hardwareCompatibilityLevel={options.hardware_compatibility}")
    flags += ["--stripWeights"] if options.strip_weights else []
    flags += ["--refit"] if options.refit else []
    flags += [] if options.tf32 else ["--noTF32"]
    if options.input_formats:
        flags.append(f"--inputIOFormats={','.join(map(str, options.input_formats))}")
    if options.output_formats:
        flags.append(f"--outputIOFormats={','.join(map(str, options.output_formats))}")
    if options.compute_capabilities:
        flags.append(f"--computeCapability={','.join(options.compute_capabilities)}")
    return flags


def as_named(options: BuildOptions) -> list[str]:
    """The options that are not at their default, as messages name them."""
    return [
        argument(name, ",".join(map(str, value)) if isinstance(value, tuple) else value)
        for name, value in options.given().items()
    ]


def _settings(config: IBuilderConfig, options: BuildOptions, flavor: Flavor) -> Iterator[Setting]:
    trt = library(flavor)
    for pool, size in options.memory_pools.items():
        kind = getattr(trt.MemoryPoolType, MEMORY_POOLS[pool])
        asked = argument("memory_pools", {pool: size})
        yield asked, partial(config.set_memory_pool_limit, kind, size)
    level = options.builder_optimization_level
    if level is not None:
        yield (
            argument("builder_optimization_level", level),
            partial(_set_optimization_level, config, level),
        )
    if options.timing_cache is not None:
        set_cache = partial(_set_timing_cache, config, options.timing_cache)
        yield argument("timing_cache"), set_cache
    if options.version_compatible:
        yield (
            argument("version_compatible", True),
            lambda: config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE),
        )
    if options.hardware_compatibility is not None:
        yield (
            argument("hardware_compatibility", options.hardware_compatibility),
            lambda: _set_hardware_level(config, options, flavor),
        )
    if options.strip_weights:
        yield (
            argument("strip_weights", True),
            lambda: config.set_flag(trt.BuilderFlag.STRIP_PLAN),
        )
    if options.refit:
        yield argument("refit", True), lambda: config.set_flag(trt.BuilderFlag.REFIT)
    if options.tf32:
        yield argument("tf32", True), lambda: config.set_flag(trt.BuilderFlag.TF32)
    else:
        yield argument("tf32", False), lambda: config.clear_flag(trt.BuilderFlag.TF32)
    if options.compute_capabilities:
        yield (
            argument("compute_capabilities"),
            lambda: _set_compute_capabilities(config, options.compute_capabilities, flavor),
        )


def _take(flag: str, apply: Callable[[], object], flavor: Flavor) -> None:
    """Apply one option; a warning is a refusal, since what it warns of has no effect."""
    with listening() as heard, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            done = apply()
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"{described(flavor)} does not take {flag}: {error}") from error
    said = [message.text for message in heard if message.is_problem]
    said += [str(warning.message) for warning in warned]
    if said or done is False:
        reason = one_line(said[0]) if said else "it gave no reason"
        raise InputError(f"{described(flavor)} does not take {flag}: {reason}")


def _set_optimization_level(config: IBuilderConfig, level: int) -> None:
    config.builder_optimization_level = level


def _set_timing_cache(config: IBuilderConfig, path: Path) -> bool:
    try:
        old = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    cache = config.create_timing_cache(old)
    return config.set_timing_cache(cache, ignore_mismatch=False)


def _set_hardware_level(config: IBuilderConfig, options: BuildOptions, flavor: Flavor) -> None:
    trt = library(flavor)
    config.hardware_compatibility_level = getattr(
        trt.HardwareCompatibilityLevel, HARDWARE_LEVELS[options.hardware_compatibility or "none"]
    )


def compute_capabilities(flavor: Flavor) -> tuple[str, ...]:
    """What --computeCapability may name; none where a flavour builds for this machine's GPU alone.

    Raises:
        MissingPackageError, InputError: see `un_deploy.engines.flavor.library`.
    """
    trt = library(flavor)
    if not hasattr(trt, "ComputeCapability"):
        return ()
    return tuple(_named(one) for one in trt.ComputeCapability.__members__ if one != "NONE")


def _named(member: str) -> str:
    """As trtexec has it: "75" for SM75, "current"."""
    return member.removeprefix("SM").lower()


def _set_compute_capabilities(
    config: IBuilderConfig, names: tuple[str, ...], flavor: Flavor
) -> None:
    """Only TensorRT-RTX builds for a GPU that is not there."""
    trt = library(flavor)
    if not hasattr(trt, "ComputeCapability"):
        raise InputError(
            f"{described(flavor)} builds for the GPU of this machine: "
            f"{argument('compute_capabilities')} is of TensorRT-RTX"
        )
    known = {_named(name): one for name, one in trt.ComputeCapability.__members__.items()}
    for name in names:
        if name not in compute_capabilities(flavor):
            raise InputError(
                f"{described(flavor)} does not build for compute capability {name}; it does for "
                f"{', '.join(compute_capabilities(flavor))}"
            )
    config.num_compute_capabilities = len(names)
    for index, name in enumerate(names):
        if not config.set_compute_capability(known[name], index):
            raise ValueError(f"compute capability {name} is refused")
