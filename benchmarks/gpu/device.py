"""What the device is and what it can do at most. Runs in a worker process."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import torch

from un_deploy.measure.speed.environment import environment
from un_deploy.runtime.torch_graph.runtime import device_timer, host_timer

PACKAGES = ("triton", "onnxscript", "onnx-shape-inference")
RUNS = 200


def check(device: str) -> None:
    """Raise at once what would stop every cell: there is no such device."""
    torch.ones(2, device=device).sum().item()


def look(device: str) -> dict[str, Any]:
    """Versions, and what the device reaches while it warms up; names no machine.

    Returns:
        the environment; bytes read and written by a copy, and floating-point operations of a matrix
        product, a second: of the fastest run.
    """
    on_cuda = device.startswith("cuda")
    count, size = (1 << 29, 8192) if on_cuda else (1 << 20, 128)
    found: dict[str, Any] = {**environment(), "torch_cuda": torch.version.cuda}
    for name in PACKAGES:
        found[name] = next((one.version for one in metadata.distributions(name=name)), None)
    source, target = (torch.ones(count, device=device) for _ in range(2))
    a = torch.randn(size, size, device=device).to(torch.float16)
    for name, amount, run in (
        ("copy_bytes_per_s", 8 * count, lambda: target.copy_(source)),
        ("float16_product_flop_per_s", 2 * size**3, lambda: a @ a),
    ):
        timer = (device_timer if on_cuda else host_timer)(run)
        found[name] = float(f"{amount / min(timer(1) for _ in range(RUNS)):.4g}")
    return found
