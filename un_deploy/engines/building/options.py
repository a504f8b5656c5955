"""The options that an engine is built with, spelled as trtexec spells them, and their parsers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from un_deploy.errors import InputError

MEMORY_POOLS = {
    "workspace": "WORKSPACE",
    "tacticSharedMem": "TACTIC_SHARED_MEMORY",
    "dlaSRAM": "DLA_MANAGED_SRAM",
    "dlaLocalDRAM": "DLA_LOCAL_DRAM",
    "dlaGlobalDRAM": "DLA_GLOBAL_DRAM",
}
"""Members of ``trt.MemoryPoolType`` by trtexec's names."""

HARDWARE_LEVELS = {
    "none": "NONE",
    "ampere+": "AMPERE_PLUS",
    "sameComputeCapability": "SAME_COMPUTE_CAPABILITY",
}
"""Members of ``trt.HardwareCompatibilityLevel`` by trtexec's names."""

FORMATS = {
    "chw": "LINEAR",
    "chw2": "CHW2",
    "chw4": "CHW4",
    "hwc8": "HWC8",
    "chw16": "CHW16",
    "chw32": "CHW32",
    "dhwc8": "DHWC8",
    "cdhw32": "CDHW32",
    "hwc": "HWC",
    "dhwc": "DHWC",
    "hwc16": "HWC16",
    "dla_linear": "DLA_LINEAR",
    "dla_hwc4": "DLA_HWC4",
}
"""Members of ``trt.TensorFormat`` by trtexec's names."""

TYPES = {
    "fp32": "FLOAT",
    "fp16": "FLOAT16",
    "bf16": "BFLOAT16",
    "int32": "INT32",
    "int64": "INT64",
    "int8": "INT8",
    "uint8": "UINT8",
    "bool": "BOOL",
}
"""Element types of ONNX by trtexec's names."""

ENGINE_TYPES = {
    "fp32": "FLOAT",
    "fp16": "HALF",
    "bf16": "BF16",
    "int32": "INT32",
    "int64": "INT64",
    "int8": "INT8",
    "uint8": "UINT8",
    "bool": "BOOL",
}
"""Members of ``trt.DataType`` by trtexec's names."""

_BYTES = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class IoFormat:
    """Element type, a key of `TYPES`; layouts, keys of `FORMATS`: the builder takes one."""

    type: str
    formats: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.type}:{'+'.join(self.formats)}"


@dataclass(frozen=True)
class BuildOptions:
    """Options of the builder. Whatever is at its default is left to TensorRT.

    Attributes:
        memory_pools: bytes by the name of the pool, a key of `MEMORY_POOLS`.
        builder_optimization_level: 0 to 5, how long to search.
        timing_cache: a file of timings, read where it exists and written after the build.
        version_compatible: the plan also runs on later versions of TensorRT.
        hardware_compatibility: a key of `HARDWARE_LEVELS`.
        strip_weights: leave weights out of the plan, for a refit to put back.
        refit: weights can be replaced in the built engine.
        input_formats, output_formats: in the graph's order, one for each or one for all.
        compute_capabilities: of TensorRT-RTX: "80" for SM80, ... or "current".
        tf32: products of fp32 may be computed in TF32.
    """

    memory_pools: Mapping[str, int] = field(default_factory=dict)
    builder_optimization_level: int | None = None
    timing_cache: Path | None = None
    version_compatible: bool = False
    hardware_compatibility: str | None = None
    strip_weights: bool = False
    refit: bool = False
    input_formats: tuple[IoFormat, ...] = ()
    output_formats: tuple[IoFormat, ...] = ()
    compute_capabilities: tuple[str, ...] = ()
    tf32: bool = True

    def given(self) -> dict[str, object]:
        """The options that are not at their default, by name."""
        usual = BuildOptions()
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in found.items() if value != getattr(usual, name)}

    def check(self) -> None:
        """Refuse names that trtexec does not have.

        Raises:
            InputError: names one of them, and those that there are.
        """
        formats = (*self.input_formats, *self.output_formats)
        level = self.hardware_compatibility
        for what, given, known in (
            ("pool", self.memory_pools, MEMORY_POOLS),
            ("hardware level", () if level is None else (level,), HARDWARE_LEVELS),
            ("type", (one.type for one in formats), TYPES),
            ("format", (name for one in formats for name in one.formats), FORMATS),
        ):
            for name in given:
                if name not in known:
                    have = ", ".join(known)
                    raise InputError(f"there is no {what} {name!r}; there are {have}")


def parse_memory_pools(text: str) -> dict[str, int]:
    """Read ``workspace:1G,tacticSharedMem:48K``: bytes by pool; MiB where no unit is given.

    Raises:
        InputError: a pool that trtexec does not have, a pool named twice, or no size.
    """
    pools = {}
    for part in text.split(","):
        name, _, size = part.strip().partition(":")
        if name not in MEMORY_POOLS:
            known = ", ".join(MEMORY_POOLS)
            raise InputError(f"--memPoolSize: there is no pool {name!r}; there are {known}")
        unit = size[-1:].upper()
        digits = size[:-1] if unit in _BYTES else size
        try:
            limit = int(float(digits) * _BYTES[unit if unit in _BYTES else "M"])
        except (ValueError, OverflowError):
            limit = -1
        if not 0 <= limit < 1 << 64:
            raise InputError(
                f"--memPoolSize: {size!r} is no size: a number with B, K, M or G behind it"
            )
        if name in pools:
            raise InputError(f"--memPoolSize names {name} twice")
        pools[name] = limit
    return pools


def parse_formats(text: str, flag: str = "a format") -> tuple[IoFormat, ...]:
    """Read ``fp16:chw,fp32:chw+hwc8``, the value of this flag.

    Raises:
        InputError: a type or a format that trtexec does not have.
    """
    found = []
    for part in text.split(","):
        kind, _, formats = part.strip().partition(":")
        wanted = tuple(formats.split("+"))
        if kind not in TYPES:
            known = ", ".join(TYPES)
            raise InputError(f"{flag}, {part!r}: there is no type {kind!r}; there are {known}")
        for one in wanted:
            if one not in FORMATS:
                known = ", ".join(FORMATS)
                raise InputError(f"{flag}, {part!r}: there is no format {one!r}; there are {known}")
        found.append(IoFormat(kind, wanted))
    return tuple(found)


def parse_compute_capabilities(text: str) -> tuple[str, ...]:
    """Read ``80,sm120`` or ``8.0,12.0`` or ``current``; the result is "80", "120" or "current".

    Raises:
        InputError: it is neither.
    """
    found = []
    for part in text.split(","):
        name = part.strip().lower().removeprefix("sm").replace(".", "")
        if name != "current" and not name.isdecimal():
            raise InputError(
                f"--computeCapability: {part.strip()!r} is no compute capability such as 80, or "
                "current"
            )
        found.append(name)
    return tuple(found)
