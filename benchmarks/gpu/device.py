"""What the device is and what it can do at most. Runs in a worker process."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from shutil import which
from typing import Any

import torch

from un_deploy.measure.speed.environment import environment

_QUERY = "clocks.sm,clocks.mem,temperature.gpu,power.draw,clocks_event_reasons.active"


def check(device: str) -> None:
    """Compute something on the device; torch raises if it cannot."""
    torch.ones(2, device=device).sum().item()


def facts(device: str) -> dict[str, Any]:
    """Versions, and the device by kind; names no machine."""
    found: dict[str, Any] = {**environment(), "torch_cuda": torch.version.cuda}
    for package in ("triton", "scipy", "onnxscript", "onnx-shape-inference"):
        found[package] = _version(package)
    if device.startswith("cuda"):
        of = torch.cuda.get_device_properties(device)
        found |= {
            "device": of.name,
            "multiprocessors": of.multi_processor_count,
            "memory_bytes": of.total_memory,
            "cudnn": torch.backends.cudnn.version(),
        }
    return found


def state() -> str | None:
    """Clocks, temperature, power and why the clocks are held back, as nvidia-smi tells."""
    program = which("nvidia-smi")
    if program is None:
        return None
    command = [program, f"--query-gpu={_QUERY}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{_QUERY}: {done.stdout.strip()}"


def ceilings(device: str, seconds: float) -> dict[str, float]:
    """Bandwidth of a copy and rates of matrix products, while the device warms up.

    Args:
        device: as torch names it.
        seconds: for each.

    Returns:
        bytes read and written, or floating-point operations, a second.
    """
    cuda = device.startswith("cuda")
    found = {"copy_bytes_per_s": _copy(1 << (29 if cuda else 22), device, seconds)}
    size = 8192 if cuda else 128
    torch.backends.cuda.matmul.allow_tf32 = False
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        taken = _fastest(lambda a=a, b=b: a @ b, device, seconds)  # type: ignore[misc]
        found[f"matmul_{str(dtype).removeprefix('torch.')}_flop_per_s"] = 2 * size**3 / taken
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def _copy(count: int, device: str, seconds: float) -> float:
    """Bytes a second of copying so many float32."""
    source = torch.empty(count, dtype=torch.float32, device=device).normal_()
    target = torch.empty_like(source)
    return 8 * count / _fastest(lambda: target.copy_(source), device, seconds)


def _fastest(run: Callable[[], Any], device: str, seconds: float) -> float:
    """The least seconds of a run, among those of a while."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    run()
    wait()
    begun, best = time.perf_counter(), float("inf")
    while time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        run()
        wait()
        best = min(best, time.perf_counter() - start)
    return best


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
