"""Trains a small network in two processes that share every batch, or in one that has it whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.distributed import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from un_deploy.nn import UnifiedNorm, padding

PROCESSES = 2
SEQUENCES, TOKENS, CHANNELS = 6, 5, 8
STEPS = 12

Found = dict[str, Tensor]
"""A network's parameters, the gradients of its last step, and its buffers, by name."""


class Case(NamedTuple):
    """How a network is trained.

    Attributes:
        wrapper: "ddp" or "fsdp2"; one process takes none.
        settings: of the norms.
        first: how many of the six sequences of each batch the first process gets.
        masked: with a padding mask; in one step the second process has no real token at all.
    """

    wrapper: str
    settings: dict[str, Any]
    first: int = 3
    masked: bool = False


class Network(nn.Module):
    """Three norms; the last is replayed by activation checkpointing."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.norms = nn.ModuleList(UnifiedNorm(CHANNELS, **settings) for _ in range(3))
        self.linears = nn.ModuleList(nn.Linear(CHANNELS, CHANNELS) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.linears[0](self.norms[0](x))
        x = x + self.linears[1](self.norms[1](x).tanh())
        y: Tensor = checkpoint(self.last, x, use_reentrant=False)
        return y

    def last(self, x: Tensor) -> Tensor:
        y: Tensor = self.linears[2](self.norms[2](x))
        return y


def batches(masked: bool) -> Iterator[tuple[Tensor, Tensor | None]]:
    """x (sequences, tokens, channels), whose sequences differ in size; and a mask."""
    generator = torch.Generator().manual_seed(0)
    sizes = torch.linspace(0.3, 3, SEQUENCES)[:, None, None]
    for step in range(STEPS):
        x = torch.randn(SEQUENCES, TOKENS, CHANNELS, generator=generator) * sizes
        lengths = torch.randint(1, TOKENS + 1, (SEQUENCES, 1), generator=generator)
        if step == STEPS // 2:
            lengths[SEQUENCES // 2 :] = 0
        yield x, torch.arange(TOKENS) >= lengths if masked else None


def train(case: Case, rank: int | None) -> Found:
    """Train on the whole batch, or on the part of a rank; the objective is the same."""
    torch.manual_seed(0)
    model: Any = Network(**case.settings)
    if rank is not None:
        for norm in model.norms:
            norm.process_group = distributed.group.WORLD
        if case.wrapper == "ddp":
            model = DistributedDataParallel(model)
        else:
            mesh = init_device_mesh("cpu", (PROCESSES,))
            for linear in model.linears:
                fully_shard(linear, mesh=mesh)
            fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    part = {None: slice(None), 0: slice(case.first), 1: slice(case.first, None)}[rank]
    for x, mask in batches(case.masked):
        optimizer.zero_grad()
        real = torch.ones(x.shape[:2]) if mask is None else (~mask).float()
        share = real[part] / real.sum() * (1 if rank is None else PROCESSES)
        if mask is None:
            (model(x[part]).square().mean(-1) * share).sum().backward()
        else:
            with padding(model, mask[part]):
                (model(x[part]).square().mean(-1) * share).sum().backward()
        optimizer.step()
    found: Found = {}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        found[name] = _whole(parameter)
        found[f"{name} gradient"] = _whole(parameter.grad)
    found |= {name: buffer.clone() for name, buffer in model.named_buffers()}
    return {name.removeprefix("module."): value for name, value in found.items()}


def _whole(x: Any) -> Tensor:
    whole: Tensor = (x.full_tensor() if hasattr(x, "full_tensor") else x).detach().clone()
    return whole


def in_two_processes(cases: dict[str, Case], folder: Path) -> list[dict[str, Found]]:
    """What every process found, by case."""
    run(_work, folder, cases)
    return [torch.load(folder / f"{rank}.pt") for rank in range(PROCESSES)]


def run(work: Callable[..., None], folder: Path, *args: Any) -> None:
    """`work(rank, folder, *args)` in processes that form gloo's default group."""
    multiprocessing.spawn(_start, (work, folder, *args), nprocs=PROCESSES)


def _start(rank: int, work: Callable[..., None], folder: Path, *args: Any) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=PROCESSES
    )
    try:
        work(rank, folder, *args)
    finally:
        distributed.destroy_process_group()


def _work(rank: int, folder: Path, cases: dict[str, Case]) -> None:
    torch.save({name: train(case, rank) for name, case in cases.items()}, folder / f"{rank}.pt")
