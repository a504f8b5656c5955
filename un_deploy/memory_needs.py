"""How much memory a command takes at its peak, from the size of the ONNX files that it reads.

Straight lines through benchmarks/results/command_memory.md, which `python -m
benchmarks.command_memory` measures: what a command takes of itself, and how many times its files.
What a network computes with beside its weights is not in them.
"""

from __future__ import annotations

from collections.abc import Iterable

from un_deploy.free_memory import free_memory

_NEEDS: dict[str, tuple[float, float]] = {
    "inspect": (80e6, 1.5),
    "strip": (80e6, 1.5),
    "triton": (85e6, 1.5),
    "fold": (80e6, 2.1),
    "verify": (240e6, 3.1),
    "profile": (105e6, 4.5),
    "build": (250e6, 3.1),
    "compare": (360e6, 4.3),
    "export": (330e6, 2.5),
}
"""Bytes of the command itself, and times the bytes of its ONNX files, weights beside them included.

An export's are those of its checkpoint. What converting a network takes follows from its batches,
and what an engine takes in trtexec or on a GPU is not this machine's memory: both have none.

A comparison is of networks alike, and makes those that are not given: the largest counts."""


def needed(command: str, sizes: Iterable[int]) -> int | None:
    """Bytes that a command takes at its peak; None: not known.

    Args:
        sizes: bytes of each ONNX file, or of the checkpoint, that it reads.
    """
    read = list(sizes)
    if command not in _NEEDS or not read:
        return None
    itself, times = _NEEDS[command]
    return int(itself + times * (max(read) if command == "compare" else sum(read)))


def shortage(command: str, sizes: Iterable[int]) -> str:
    """Says that less memory is free than a command is likely to need; empty where it is enough."""
    need, free = needed(command, sizes), free_memory()
    if need is None or free is None or need <= free:
        return ""
    return (
        f"{command} takes some {need / 1e9:.2g} GB of memory for these files, and "
        f"{free / 1e9:.2g} are free: the system may end it"
    )
