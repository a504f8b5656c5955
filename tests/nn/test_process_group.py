"""Two processes on parts of a batch train as one on the whole, by DDP and FSDP2, through gloo."""

from __future__ import annotations

import io
from collections.abc import Iterator
from copy import copy, deepcopy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
distributed = pytest.importorskip("torch.distributed")
if not distributed.is_available():
    pytest.skip("PyTorch without torch.distributed", allow_module_level=True)

from tests.support.two_processes import Case, Found, in_two_processes, train  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch

NO_AFFINE = {"elementwise_affine": False}
CASES = {
    "ddp, halves": Case("ddp", {}),
    "ddp, uneven masks": Case("ddp", NO_AFFINE, first=1, masked=True),
    "ddp, nothing for one": Case("ddp", {"bias": False}, first=6),
    "ddp, paper, masks": Case("ddp", {"mode": "paper", "warmup_iters": 0}, masked=True),
    "ddp, official, uneven": Case("ddp", {"mode": "official", "warmup_iters": 3}, first=2),
    "fsdp2, uneven": Case("fsdp2", {"bias": False}, first=5),
    "fsdp2, masks": Case("fsdp2", {}, masked=True),
    "fsdp2, nothing for one": Case("fsdp2", NO_AFFINE, first=6),
    "fsdp2, paper, uneven": Case("fsdp2", {"mode": "paper", "warmup_iters": 3}, first=2),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Found]]:
    return in_two_processes(CASES, tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one_on_the_whole(found: list[dict[str, Found]], name: str) -> None:
    """Weights, gradients and buffers, after twelve steps."""
    whole = train(CASES[name], rank=None)
    for rank in found:
        assert set(rank[name]) == set(whole)
        for key, value in whole.items():
            torch.testing.assert_close(rank[name][key], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_every_process_would_save_the_same(found: list[dict[str, Found]], name: str) -> None:
    first, second = (rank[name] for rank in found)
    for key in first:
        assert torch.equal(first[key], second[key]), key


@pytest.fixture
def group(tmp_path: Path) -> Iterator[distributed.ProcessGroup]:
    """A group of this process alone."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield distributed.group.WORLD
    distributed.destroy_process_group()


@pytest.mark.parametrize("mode", ["robust", "paper", "official"])
def test_a_group_of_one_changes_nothing(group: distributed.ProcessGroup, mode: str) -> None:
    alone, norm = UnifiedNorm(8, mode=mode), UnifiedNorm(8, mode=mode, process_group=group)
    for _ in range(12):
        a = torch.randn(4, 5, 8, requires_grad=True)
        b = a.detach().clone().requires_grad_()
        dy = torch.randn(4, 5, 8)
        alone(a).backward(dy)
        norm(b).backward(dy)
        torch.testing.assert_close(b.grad, a.grad)
    for name, value in norm.named_buffers():
        torch.testing.assert_close(value, alone.get_buffer(name))


def test_the_group_can_be_set_later(group: distributed.ProcessGroup) -> None:
    norm = UnifiedNorm(8, window_size=3)
    assert norm.process_group is None
    norm.process_group = group
    assert norm.process_group is group
    assert norm.rule.window_size == 3


def test_copies_keep_the_group_and_files_do_not(group: distributed.ProcessGroup) -> None:
    """A group lives in its processes."""
    norm = UnifiedNorm(8, process_group=group)
    assert deepcopy(norm).process_group is copy(norm).process_group is group
    file = io.BytesIO()
    torch.save(norm, file)
    file.seek(0)
    assert torch.load(file, weights_only=False).process_group is None


def test_evaluation_exchanges_nothing(
    group: distributed.ProcessGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(distributed, "all_reduce")
    norm = UnifiedNorm(8, process_group=group)
    with pytest.raises(AttributeError):
        norm(torch.ones(2, 8))
    assert norm.eval()(torch.ones(2, 8)).shape == (2, 8)


def test_exporting_the_training_of_a_group_is_refused(group: distributed.ProcessGroup) -> None:
    norm = torch.nn.Sequential(UnifiedNorm(8, process_group=group))
    with pytest.raises(InputError, match="cannot keep a process group"):
        torch.export.export(norm, (torch.randn(2, 5, 8),))


@pytest.mark.slow
def test_compiles_as_one_graph(group: distributed.ProcessGroup) -> None:
    eager, norm = UnifiedNorm(8), UnifiedNorm(8, process_group=group)
    compiled = torch.compile(norm, fullgraph=True, backend="aot_eager")
    for x in torch.randn(3, 4, 5, 8):
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, expected = compiled(b), eager(a)
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-6)
        y.square().sum().backward()
        expected.square().sum().backward()
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm.history, eager.history, rtol=1e-6, atol=0)
