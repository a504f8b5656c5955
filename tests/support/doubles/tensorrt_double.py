"""Stands in for the module `tensorrt` where a plan is run: records the calls, doubles the inputs.

A builder's configuration records what it is told, and nothing is built.

Its plans hold JSON behind the header of a real one (see `plan`). Every output is twice the input it
names, read and written at the addresses that were set, so a wrong shape, type or address shows in
the result. It knows nothing of un_deploy; classes, methods, arguments and members are held against
those of every real version in tests/api/test_double.py.
"""

from __future__ import annotations

import ctypes
import enum
import json
from typing import Any

import numpy as np

__version__ = "10.16.1.11"

calls: list[tuple[str, tuple[Any, ...]]] = []
"""What was called, in order, with its arguments; tests clear it."""

DataType = enum.Enum("DataType", "FLOAT HALF BF16 INT32 INT64 INT8 UINT8 BOOL FP8")
TensorIOMode = enum.Enum("TensorIOMode", "NONE INPUT OUTPUT")
TensorLocation = enum.Enum("TensorLocation", "DEVICE HOST")
TensorFormat = enum.Enum("TensorFormat", "LINEAR CHW2 HWC8")
LayerInformationFormat = enum.Enum("LayerInformationFormat", "ONELINE JSON")
MemoryPoolType = enum.Enum("MemoryPoolType", "WORKSPACE DLA_MANAGED_SRAM")
BuilderFlag = enum.Enum("BuilderFlag", "VERSION_COMPATIBLE STRIP_PLAN REFIT TF32")
HardwareCompatibilityLevel = enum.Enum("HardwareCompatibilityLevel", "NONE AMPERE_PLUS")

_NUMPY = {
    DataType.FLOAT: np.dtype(np.float32),
    DataType.HALF: np.dtype(np.float16),
    DataType.INT64: np.dtype(np.int64),
}


def plan(version: str = __version__, **spec: Any) -> bytes:
    """A plan of the double.

    Args:
        version: of TensorRT, four parts.
        spec: "inputs" and "outputs" by name, each with "dtype" and "shape" (-1: dynamic), an
            output with "of", its input; "profiles", each [min, opt, max] by input; "layers", the
            names and what the inspector tells of them; "shaped", what it tells once every dynamic
            input has a shape; "times", milliseconds of each layer; "loading_warns_of", messages.
    """
    body = json.dumps(spec).encode()
    parts = [int(part) % 256 for part in version.split(".")]
    size = (64 + len(body)).to_bytes(8, "little")
    head = b"ftrt" + bytes(12) + size + bytes(parts)
    return head.ljust(64, b"\0") + body


def _made(kind: type[Any], **attributes: Any) -> Any:
    """An object of a class that cannot be called with what it holds."""
    one = kind()
    vars(one).update(attributes)
    return one


class ILogger:
    class Severity(enum.Enum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    def __init__(self) -> None:
        pass

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


class IProfiler:
    def __init__(self) -> None:
        pass

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        raise NotImplementedError


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        calls.append(("deserialize_cuda_engine", ()))
        spec = json.loads(serialized_engine[64:])
        engine: ICudaEngine = _made(ICudaEngine, _spec=spec, _logger=self._logger)
        for text in spec.get("loading_warns_of", ()):
            self._logger.log(ILogger.Severity.WARNING, text)
        return None if engine._refuses("error") else engine


class ICudaEngine:
    _spec: dict[str, Any]
    _logger: ILogger

    def _refuses(self, what: str) -> bool:
        if what in self._spec:
            self._logger.log(ILogger.Severity.ERROR, self._spec[what])
        return what in self._spec

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self._spec["inputs"] else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType[self._tensors[name]["dtype"]]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name]["shape"])

    def get_tensor_format(self, name: str, profile_index: int) -> TensorFormat:
        assert 0 <= profile_index < len(self._profiles)
        return TensorFormat[self._tensors[name].get("format", "LINEAR")]

    def get_tensor_location(self, name: str) -> TensorLocation:
        return TensorLocation[self._tensors[name].get("location", "DEVICE")]

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        return [tuple(shape) for shape in self._profiles[profile_index][name]]

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        return 1000 * (profile_index + 1)

    def create_execution_context(self) -> IExecutionContext | None:
        calls.append(("create_execution_context", ()))
        if self._refuses("no_context"):
            return None
        return _made(IExecutionContext, _engine=self, _profile=0, _shapes={}, _addresses={})

    def create_engine_inspector(self) -> EngineInspector:
        return _made(EngineInspector, _engine=self)

    @property
    def _tensors(self) -> dict[str, Any]:
        return {**self._spec["inputs"], **self._spec["outputs"]}

    @property
    def _profiles(self) -> list[dict[str, Any]]:
        profiles: list[dict[str, Any]] = self._spec.get("profiles") or [{}]
        return profiles


class IExecutionContext:
    profiler: IProfiler | None = None
    enqueue_emits_profile = True
    _engine: ICudaEngine
    _profile: int
    _shapes: dict[str, tuple[int, ...]]
    _addresses: dict[str, int]

    @property
    def active_optimization_profile(self) -> int:
        return self._profile

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        calls.append(("set_optimization_profile_async", (profile_index, stream_handle)))
        self._profile = profile_index
        self._shapes.clear()
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        calls.append(("set_input_shape", (name, tuple(shape))))
        allowed = self._engine._profiles[self._profile].get(name)
        if allowed is None:
            fits = tuple(shape) == self._engine.get_tensor_shape(name)
        else:
            fits = all(a <= n <= b for a, n, b in zip(allowed[0], shape, allowed[2], strict=True))
        if not fits:
            self._engine._logger.log(ILogger.Severity.ERROR, f"{name}: {shape} is out of range")
            return False
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        of = self._engine._tensors[name].get("of", name)
        return self._shapes.get(of, (-1,)) if of != "nothing" else (-1,)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        calls.append(("set_tensor_address", (name,)))
        self._addresses[name] = memory
        return memory != 0

    def execute_async_v3(self, stream_handle: int) -> bool:
        calls.append(("execute_async_v3", (stream_handle,)))
        if self._engine._refuses("fails"):
            return False
        for name, told in self._engine._spec["outputs"].items():
            self._array(name)[...] = 2 * self._array(told["of"])
        return True

    def report_to_profiler(self) -> bool:
        assert self.profiler is not None
        assert not self.enqueue_emits_profile
        for layer, ms in zip(
            self._engine._spec["layers"], self._engine._spec["times"], strict=True
        ):
            self.profiler.report_layer_time(layer["Name"], ms)
        return True

    def _array(self, name: str) -> np.ndarray:
        dtype = _NUMPY[self._engine.get_tensor_dtype(name)]
        shape = self.get_tensor_shape(name)
        memory = (ctypes.c_char * (int(np.prod(shape)) * dtype.itemsize)).from_address(
            self._addresses[name]
        )
        return np.frombuffer(memory, dtype).reshape(shape)


class EngineInspector:
    execution_context: IExecutionContext | None = None
    _engine: ICudaEngine

    def get_engine_information(self, format: LayerInformationFormat) -> str:
        assert format is LayerInformationFormat.JSON
        spec, context = self._engine._spec, self.execution_context
        dynamic = {name for name, told in spec["inputs"].items() if -1 in told["shape"]}
        shaped = context is not None and dynamic <= context._shapes.keys()
        layers = spec["shaped"] if shaped and "shaped" in spec else spec["layers"]
        return json.dumps({"Layers": layers, "Bindings": list(self._engine._tensors)})


class ITimingCache:
    pass


class IBuilderConfig:
    builder_optimization_level = 3
    hardware_compatibility_level = HardwareCompatibilityLevel.NONE

    def set_flag(self, flag: BuilderFlag) -> None:
        calls.append(("set_flag", (flag.name,)))

    def clear_flag(self, flag: BuilderFlag) -> None:
        calls.append(("clear_flag", (flag.name,)))

    def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
        calls.append(("set_memory_pool_limit", (pool.name, pool_size)))

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        calls.append(("create_timing_cache", (serialized_timing_cache,)))
        return ITimingCache()

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        calls.append(("set_timing_cache", (ignore_mismatch,)))
        return True
