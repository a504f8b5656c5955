"""The robust rule in every way it is run, number for number against the plain reference."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import product
from typing import Any

import pytest
from _pytest.mark import ParameterSet

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from tests.nn.reference import Reference  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402
from un_deploy.nn.channel_affine import LONG  # noqa: E402
from un_deploy.nn.channel_sums import GROUP, PART  # noqa: E402

pytestmark = pytest.mark.torch

CHANNELS = 8
HALVES = [torch.float16, torch.bfloat16]
Norm = Callable[..., Tensor]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def new_norm(channels: int = CHANNELS, dtype: torch.dtype = torch.float32) -> UnifiedNorm:
    """With random parameters."""
    norm = UnifiedNorm(channels)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.normal_(norm.bias)
    return norm.to(dtype)


def stream(
    shape: tuple[int, ...], dtype: torch.dtype, iterations: int = 6
) -> Iterator[tuple[Tensor, Tensor]]:
    """x and dy of each iteration; channels differ in scale, and the fourth is an outlier batch."""
    scales = torch.linspace(0.1, 4, shape[-1])
    for iteration in range(iterations):
        x = torch.randn(shape) * scales * (30 if iteration == 3 else 1)
        yield x.to(dtype), torch.randn(shape).to(dtype)


def assert_close(
    got: Tensor | None, expected: Tensor | None, rows: int, terms: Tensor | None = None
) -> None:
    """Equal up to the rounding of got's dtype in sums over `rows` numbers.

    At most PART numbers are added one after the other, and rounding grows with the root of that.
    It is measured against the largest number of `terms`, or of what is expected, as some cancel.
    """
    assert got is not None
    assert expected is not None
    rounding = 8 * torch.finfo(got.dtype).eps * min(rows, PART) ** 0.5
    largest = (expected if terms is None else terms).abs().max().item()
    got, expected = got.double(), expected.double()
    torch.testing.assert_close(got, expected, rtol=rounding, atol=rounding * largest)


def assert_same_state(norm: nn.Module, reference: Reference, rows: int) -> None:
    kept = min(8, len(reference.moments))
    buffers = dict(norm.named_buffers())
    assert_close(buffers["running_var"], reference.running_var, rows)
    assert_close(buffers["history"][-kept:], torch.stack(reference.moments[-kept:]), rows)
    assert int(buffers["iters"]) == len(reference.moments)


def assert_trains_like(
    reference: Reference,
    norm: nn.Module,
    batches: Iterator[tuple[Tensor, Tensor]],
    run: Norm | None = None,
    padded: bool = False,
) -> None:
    """Outputs, gradients and state of every iteration, of `norm`, or of `run`, which calls it."""
    call = norm if run is None else run
    parameters = dict(norm.named_parameters())
    for x, dy in batches:
        rows = x.shape[:-1].numel()
        mask = [torch.rand(x.shape[:-1]) < 0.3] if padded else []
        a, b = x.detach().requires_grad_(), x.detach().requires_grad_()
        for parameter in (*parameters.values(), reference.weight, reference.bias):
            parameter.grad = None
        y, expected = call(a, *mask), reference(b, *mask)
        y.backward(dy)
        expected.backward(dy.double())
        assert (y.dtype, y.shape) == (x.dtype, x.shape)
        assert_close(y, expected, rows)
        without_psi = dy * (expected.detach() - reference.bias.detach()) / b.detach()
        assert_close(a.grad, b.grad, rows, without_psi)
        assert_close(parameters["weight"].grad, reference.weight.grad, rows)
        assert_close(parameters["bias"].grad, reference.bias.grad, rows)
        assert_same_state(norm, reference, rows)


class Operators(TorchDispatchMode):
    """Counts what is run, by operator."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [1, PART - 1, PART, PART + 1, 2 * PART + 1])
def test_row_counts_round_that_of_a_part(rows: int, dtype: torch.dtype) -> None:
    norm = new_norm(dtype=dtype)
    with Operators() as operators:
        assert_trains_like(Reference.of(norm), norm, stream((rows, CHANNELS), dtype, 4))
    parts = {1: 1, PART - 1: 1, PART: 1, PART + 1: 2, 2 * PART + 1: 3}[rows]
    assert operators.count["native_layer_norm_backward"] == 4 * parts
    assert operators.count["_weight_norm_interface_backward"] == 4


def test_more_rows_than_one_kernel_sums() -> None:
    norm = new_norm()
    with Operators() as operators:
        assert_trains_like(Reference.of(norm), norm, stream((LONG + 1, CHANNELS), torch.float32, 2))
    assert operators.count["_weight_norm_interface_backward"] == 0


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_every_rank(rank: int) -> None:
    leading = {1: (), 2: (30,), 3: (2, 15), 4: (2, 3, 5)}[rank]
    norm = new_norm()
    assert_trains_like(Reference.of(norm), norm, stream((*leading, CHANNELS), torch.float32, 4))


@pytest.mark.parametrize("inner", [torch.float32, torch.float64])
def test_parameters_of_another_width_than_the_input(inner: torch.dtype) -> None:
    """The narrower of the two rounds."""
    outer = torch.float64 if inner == torch.float32 else torch.float32
    norm = new_norm(dtype=inner)
    reference = Reference.of(norm)
    for x, dy in stream((4, 10, CHANNELS), outer):
        a, b = x.clone().requires_grad_(), x.double().requires_grad_()
        y, expected = norm(a), reference(b)
        y.backward(dy)
        expected.backward(dy.double())
        assert y.dtype == a.grad.dtype == outer
        assert_close(y.float(), expected, 40)
        assert_close(a.grad.float(), b.grad, 40, dy)
        assert_close(norm.weight.grad.float(), reference.weight.grad, 6 * 40)


def transposed(x: Tensor) -> Tensor:
    """x's values with the channels first in memory."""
    return x.mT.contiguous().mT


def every_other(x: Tensor) -> Tensor:
    """x's values with a gap after each."""
    return x.repeat_interleave(2, -1)[..., ::2]


@pytest.mark.parametrize("layout", [transposed, every_other])
@pytest.mark.parametrize("which", ["x", "dy", "both"])
def test_any_layout_in_memory(layout: Norm, which: str) -> None:
    norm = new_norm()
    assert_trains_like(
        Reference.of(norm),
        norm,
        (
            (layout(x) if which != "dy" else x, layout(dy) if which != "x" else dy)
            for x, dy in stream((2, PART // 2 + 1, CHANNELS), torch.float32, 4)
        ),
    )


def test_an_expanded_gradient() -> None:
    """As y.sum() hands it back: one number with strides of 0."""
    norm = new_norm()
    one = torch.ones(()).expand(PART, CHANNELS)
    batches = ((x, one) for x, _ in stream((PART, CHANNELS), torch.float32, 4))
    assert_trains_like(Reference.of(norm), norm, batches)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("dtype", HALVES)
def test_autocast(dtype: torch.dtype, padded: bool) -> None:
    """x comes in half precision, parameters and statistics are float32."""
    norm = new_norm()

    def run(x: Tensor, *mask: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=dtype):
            return norm(x, *mask)

    assert_trains_like(Reference.of(norm), norm, stream((4, 10, CHANNELS), dtype), run, padded)
    assert norm.weight.dtype == norm.history.dtype == norm.running_var.dtype == torch.float32


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("dtype", HALVES)
def test_a_module_in_half_precision(dtype: torch.dtype, padded: bool) -> None:
    """Its statistics stay float32: they are held to float32's rounding."""
    norm = new_norm(dtype=dtype)
    batches = stream((4, 10, CHANNELS), dtype)
    assert_trains_like(Reference.of(norm), norm, batches, padded=padded)
    assert norm.weight.dtype == dtype
    assert norm.history.dtype == norm.running_var.dtype == torch.float32


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_activation_checkpointing(use_reentrant: bool) -> None:
    norm = new_norm()

    def run(x: Tensor) -> Tensor:
        return checkpoint(norm, x, use_reentrant=use_reentrant)

    batches = stream((4, 10, CHANNELS), torch.float32, 12)
    assert_trains_like(Reference.of(norm), norm, batches, run)


def test_gradients_accumulate_over_micro_batches() -> None:
    """Every forward is an iteration; the parameters' gradients add up."""
    norm = new_norm()
    reference = Reference.of(norm)
    for _ in range(3):
        norm.zero_grad()
        reference.weight.grad = reference.bias.grad = None
        for x, dy in stream((4, 10, CHANNELS), torch.float32, 4):
            norm(x).backward(dy)
            reference(x).backward(dy.double())
        assert_close(norm.weight.grad, reference.weight.grad, 4 * 40)
        assert_close(norm.bias.grad, reference.bias.grad, 4 * 40)
        assert_same_state(norm, reference, 40)
    assert int(norm.iters) == 12


def test_several_forwards_before_one_backward() -> None:
    """Each keeps its own iteration's statistics, whatever has been counted meanwhile."""
    norm = new_norm()
    reference = Reference.of(norm)
    leaves, got, expected = [], [], []
    for x, dy in stream((4, 10, CHANNELS), torch.float32, 12):
        a, b = x.clone().requires_grad_(), x.double().requires_grad_()
        leaves.append((a, b))
        got.append((norm(a) * dy).sum())
        expected.append((reference(b) * dy).sum())
    torch.stack(got).sum().backward()
    torch.stack(expected).sum().backward()
    for a, b in leaves:
        assert_close(a.grad, b.grad, 40)
    assert_close(norm.weight.grad, reference.weight.grad, 12 * 40)
    assert_same_state(norm, reference, 40)


def test_a_retained_graph_gives_the_same_gradients_again() -> None:
    """Also after later forwards; a backward counts nothing."""
    norm = new_norm()
    reference = Reference.of(norm)
    for x, dy in stream((4, 10, CHANNELS), torch.float32):
        a, b = x.clone().requires_grad_(), x.double().requires_grad_()
        y, expected = norm(a), reference(b)
        inputs, others = (a, norm.weight, norm.bias), (b, reference.weight, reference.bias)
        first = torch.autograd.grad(y, inputs, dy, retain_graph=True)
        norm(x * 1.1)
        reference(x * 1.1)
        second = torch.autograd.grad(y, inputs, dy)
        wanted = torch.autograd.grad(expected, others, dy.double())
        for one, two, want in zip(first, second, wanted, strict=True):
            assert torch.equal(one, two)
            assert_close(one, want, 40)
        assert_same_state(norm, reference, 40)


def compiled(norm: UnifiedNorm, backend: str) -> Norm:
    """As one graph; compilers remember what they did for other tests' norms, up to a limit."""
    torch.compiler.reset()
    run: Norm = torch.compile(norm, fullgraph=True, backend=backend)
    return run


def for_compilers(*cases: tuple[Any, ...], inductor: int) -> list[ParameterSet]:
    """Each case with "aot_eager", and every so many-th with "inductor", which runs g++ for long."""
    marks = [
        pytest.mark.slow,
        pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs g++"),
    ]
    return [
        *(pytest.param(*case, "aot_eager") for case in cases),
        *(pytest.param(*case, "inductor", marks=marks) for case in cases[::inductor]),
    ]


@pytest.mark.parametrize(
    ("rows", "padded", "backend"),
    for_compilers(*product((10, 2 * PART + 1), (False, True)), inductor=3),
)
def test_compiled(rows: int, padded: bool, backend: str) -> None:
    norm = new_norm()
    run = compiled(norm, backend)
    batches = stream((2, rows, CHANNELS), torch.float32, 12 if rows == 10 else 4)
    assert_trains_like(Reference.of(norm), norm, batches, run, padded)


@pytest.mark.parametrize(
    ("rows", "backend"),
    for_compilers((5 * GROUP + 1,), (GROUP - 1,), (GROUP,), (2**17 + 1,), inductor=3),
)
def test_compiled_sums_in_groups(rows: int, backend: str) -> None:
    """Also where there is no whole group, or where the last rows are none."""
    norm = new_norm()
    batches = stream((rows, CHANNELS), torch.float32, 2)
    assert_trains_like(Reference.of(norm), norm, batches, compiled(norm, backend))


def test_compiled_for_any_number_of_tokens() -> None:
    norm = new_norm()
    reference = Reference.of(norm)
    run = torch.compile(norm, fullgraph=True, backend="aot_eager", dynamic=True)
    for rows in (10, 33, 5 * GROUP, 2**17 + 18, 7):
        assert_trains_like(reference, norm, stream((rows, CHANNELS), torch.float32, 2), run)


@pytest.mark.parametrize(
    ("dtype", "backend"), for_compilers(*((dtype,) for dtype in HALVES), inductor=2)
)
def test_compiled_in_half_precision(dtype: torch.dtype, backend: str) -> None:
    norm = new_norm(dtype=dtype)
    batches = stream((4, 10, CHANNELS), dtype)
    assert_trains_like(Reference.of(norm), norm, batches, compiled(norm, backend))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, *HALVES])
def test_exported_in_training(dtype: torch.dtype, padded: bool) -> None:
    """The exported program trains: its gradients and its buffers are the rule's."""
    norm = new_norm(dtype=dtype)
    example = torch.randn(4, 10, CHANNELS).to(dtype)
    mask = [torch.zeros(4, 10, dtype=torch.bool)] if padded else []
    program = torch.export.export(norm.train(), (example, *mask)).module()
    batches = stream((4, 10, CHANNELS), dtype, 12)
    assert_trains_like(Reference.of(norm), program, batches, padded=padded)


class Residual(nn.Module):
    """Two blocks x + linear(norm(x)), and a loss that needs both."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(new_norm() for _ in range(2))
        self.linears = nn.ModuleList(nn.Linear(CHANNELS, CHANNELS) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for norm, linear in zip(self.norms, self.linears, strict=True):
            x = x + linear(norm(x)).relu()
        return x


def reference_of(network: Residual) -> tuple[Norm, list[Tensor], list[Reference]]:
    """The network in float64 with reference norms: its forward, parameters, and norms."""
    wide = deepcopy(network).double()
    norms = [Reference.of(norm) for norm in network.norms if isinstance(norm, UnifiedNorm)]

    def run(x: Tensor) -> Tensor:
        for norm, linear in zip(norms, wide.linears, strict=True):
            x = x + linear(norm(x)).relu()
        return x

    affine = [p for norm in norms for p in (norm.weight, norm.bias)]
    return run, [*affine, *wide.linears.parameters()], norms


def test_an_exported_network_takes_training_steps() -> None:
    """SGD on the exported program, step after step, as on the reference network."""
    network = Residual()
    run, parameters, norms = reference_of(network)
    program = torch.export.export(network.train(), (torch.randn(4, 10, CHANNELS),)).module()
    optimizer = torch.optim.SGD(program.parameters(), lr=0.05)
    other = torch.optim.SGD(parameters, lr=0.05)
    for x, target in stream((4, 10, CHANNELS), torch.float32, 12):
        optimizer.zero_grad()
        other.zero_grad()
        (program(x) - target).square().mean().backward()
        (run(x.double()) - target).square().mean().backward()
        for got, want in zip(program.parameters(), parameters, strict=True):
            assert_close(got.grad, want.grad, 40)
        optimizer.step()
        other.step()
    buffers = dict(program.named_buffers())
    for number, norm in enumerate(norms):
        assert_close(buffers[f"norms.{number}.running_var"], norm.running_var, 40)
        assert int(buffers[f"norms.{number}.iters"]) == 12
