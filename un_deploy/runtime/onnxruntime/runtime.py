"""ONNX Runtime, on the CPU or on an NVIDIA GPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import onnx_ir

from un_deploy.arguments.names import argument
from un_deploy.cpus import limited_threads
from un_deploy.errors import InputError, needs, one_line
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.install import how_to_install
from un_deploy.runtime.layer_times import TimedLayer
from un_deploy.runtime.onnxruntime.memory import run_memory
from un_deploy.runtime.onnxruntime.profile import layer_times
from un_deploy.runtime.protocol import Timer
from un_deploy.runtime.run_memory import RunMemory
from un_deploy.runtime.session import FileSession, model_of
from un_deploy.runtime.settings import Fusions

if TYPE_CHECKING:
    import onnxruntime

Device = Literal["cpu", "cuda"]

SILENT = 4
"""Log nothing but crashes: what ONNX Runtime logs as an error it raises as well."""

_OFF: dict[Fusions, list[str]] = {
    "all": [],
    "no-skip-norm": ["SkipLayerNormFusion"],
    "no-norm": ["SkipLayerNormFusion", "LayerNormFusion"],
}
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class OnnxRuntime:
    """See `un_deploy.runtime.protocol.Runtime`.

    Args:
        threads: threads within an operator; None: OMP_NUM_THREADS or the quota, else one for each
            physical core that this process may use.
        device: "cpu", or "cuda" for the first GPU. What does not run there is refused.
        fusions: which graph optimizations run: "all"; "no-skip-norm": all but the fusion of a
            residual Add with the LayerNormalization behind it, whose kernel is slow on some
            CPUs; "no-norm": neither that nor the one that makes LayerNormalization of its parts.
        tf32: whether products of fp32 may be computed in TF32 on CUDA.
    """

    threads: int | None = None
    device: Device = "cpu"
    fusions: Fusions = "all"
    tf32: bool = True

    @property
    def name(self) -> str:
        """As messages call it."""
        return "onnxruntime" if self.device == "cpu" else f"onnxruntime ({self.device})"

    def load(self, model: onnx_ir.Model | Path) -> OnnxSession:
        """See `un_deploy.runtime.protocol.Runtime`.

        Raises:
            MissingPackageError: onnxruntime is not installed.
            InputError: ONNX Runtime refuses the model, or would run it on the CPU although
                another device was asked for.
        """
        timer_of = None if self.device == "cpu" else _bound_timer
        return OnnxSession(model, self, timer_of)

    def open(
        self, path: Path, profiled_in: Path | None = None, optimized: Path | None = None
    ) -> onnxruntime.InferenceSession:
        """Load an ONNX file.

        Where they are given, a folder takes the profile, and a file the optimized graph, with its
        weights beside it.

        Raises:
            MissingPackageError, InputError: see `load`.
        """
        with needs("cpu" if self.device == "cpu" else "gpu"):
            import onnxruntime
        provider = _PROVIDERS[self.device]
        if provider not in onnxruntime.get_available_providers():
            how = how_to_install("gpu", instead_of="onnxruntime")
            raise InputError(f"this onnxruntime has no {provider}: {how}")
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = SILENT
        options.intra_op_num_threads = self.threads or limited_threads() or 0
        if profiled_in is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profiled_in / "profile")
        if optimized is not None:
            options.optimized_model_filepath = str(optimized)
            # Beside the graph, since a protobuf ends at 2 GB.
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", "weights"
            )
        # Threads that wait busily for the next run would slow down what is timed beside it.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            session = onnxruntime.InferenceSession(
                str(path),
                options,
                providers=[(provider, self._provider_options)],
                disabled_optimizers=_OFF[self.fusions],
            )
        except Exception as error:  # its exceptions share no base class
            raise InputError(f"{self.name} cannot load the graph: {one_line(error)}") from error
        if session.get_providers()[0] != provider:
            raise InputError(
                f"ONNX Runtime fell back to {session.get_providers()[0]}: {provider} found no "
                "device or not the CUDA and cuDNN that it needs (un-deploy doctor)"
            )
        return session

    @property
    def _provider_options(self) -> dict[str, str]:
        return {} if self.device == "cpu" else {"use_tf32": str(int(self.tf32))}


class OnnxSession(FileSession):
    """See `un_deploy.runtime.protocol.Session`."""

    def __init__(
        self,
        source: onnx_ir.Model | Path,
        runtime: OnnxRuntime,
        timer_of: Callable[[Any, list[str], Feeds], Timer] | None,
    ) -> None:
        super().__init__(source, runtime.name, runtime.open, timer_of)
        self._onnx_runtime = runtime

    def layer_times(self, feeds: Feeds, runs: int, warm_up: int) -> tuple[TimedLayer, ...]:
        """See `un_deploy.runtime.layer_times.TellsLayers`; on the CPU only."""
        if self._onnx_runtime.device != "cpu":
            raise InputError(
                "ONNX Runtime times the launch of CUDA kernels, not the kernels: profile on "
                f"ort-cpu, on torch with {argument('device', 'cuda')}, or a plan"
            )
        self.run(feeds)  # what is wrong with the feeds is said as elsewhere
        model = model_of(self._source)
        self.release()  # the profile is of a session of its own
        return layer_times(self._onnx_runtime.open, self._source, model, feeds, runs, warm_up)

    def run_memory(self, feeds: Feeds) -> RunMemory:
        """See `un_deploy.runtime.run_memory.TellsMemory`; untested on CUDA hardware."""
        self.release()  # the profile is of a session of its own
        runtime = self._onnx_runtime
        provider = _PROVIDERS[runtime.device]
        return run_memory(runtime.open, runtime.name, self._source, feeds, provider)


def _bound_timer(session: onnxruntime.InferenceSession, outputs: list[str], feeds: Feeds) -> Timer:
    """Inputs and outputs stay on the device."""
    import onnxruntime

    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(
            name, onnxruntime.OrtValue.ortvalue_from_numpy(array, "cuda", 0)
        )
    for name in outputs:
        binding.bind_output(name, "cuda", 0)

    def seconds(runs: int) -> float:
        binding.synchronize_inputs()
        start = time.perf_counter()
        for _ in range(runs):
            session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return time.perf_counter() - start

    return seconds
