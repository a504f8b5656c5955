"""The module: what it deploys to, what it accepts, and how it travels."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import onnx
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from tests.support.released_norm import ReleasedStyleNorm  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch

MODES = ["robust", "paper", "official"]


def trained(mode: str = "robust", channels: int = 8, **settings: Any) -> UnifiedNorm:
    torch.manual_seed(0)
    norm = UnifiedNorm(channels, mode=mode, **settings)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    for _ in range(12):
        norm(torch.randn(4, 10, channels) * torch.arange(1.0, channels + 1))
    return norm


@pytest.mark.parametrize("mode", MODES)
def test_evaluation_is_a_scale_and_a_shift(mode: str) -> None:
    norm = trained(mode).eval()
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    x = torch.randn(2, 3, 5, 8)
    expected = norm.weight * x / torch.sqrt(norm.running_var + norm.eps) + norm.bias
    torch.testing.assert_close(norm(x), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(norm(x, torch.ones(2, 3, 5, dtype=torch.bool)), norm(x))
    for name, value in norm.state_dict().items():
        assert torch.equal(value, state[name]), name


def exported_operators(
    norm: nn.Module, path: Path, dynamo: bool, rank: int, dtype: torch.dtype = torch.float32
) -> Counter[str]:
    model = nn.Sequential(norm, nn.Linear(8, 8, dtype=dtype)).eval()
    x = torch.randn((2, 3, 5, 8)[-rank:], dtype=dtype)
    extra: dict[str, Any] = {"verbose": False} if dynamo else {"dynamic_axes": {"x": [0]}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), path, dynamo=dynamo, input_names=["x"], **extra)
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
@pytest.mark.parametrize(
    ("mode", "rank"), [(MODES[0], 2), (MODES[0], 4), *((mode, 3) for mode in MODES)]
)
def test_exports_without_a_layout_operator(
    tmp_path: Path, mode: str, dynamo: bool, rank: int
) -> None:
    """Modes differ in training alone, so each is exported at one rank."""
    found = exported_operators(trained(mode), tmp_path / "un.onnx", dynamo, rank)
    assert set(found) <= {"Mul", "Add", "MatMul", "Gemm", "Div", "Sqrt"}
    assert found["Mul"] == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_exports_in_half_precision_without_casting_the_stream(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    norm = trained().to(dtype)
    found = exported_operators(norm, tmp_path / "un.onnx", True, 3, dtype)
    assert found["Cast"] == 0
    assert found["Mul"] == 1


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
def test_the_released_shape_leaves_layout_operators(
    tmp_path: Path, dynamo: bool, rank: int
) -> None:
    """The stand-in for the released module computes the same, among pairs that undo each other."""
    norm = trained().eval()
    released = ReleasedStyleNorm(8).eval()
    released.load_state_dict({name: norm.state_dict()[name] for name in released.state_dict()})
    x = torch.randn((2, 5, 8)[-rank:])
    torch.testing.assert_close(released(x), norm(x), rtol=1e-6, atol=1e-6)
    found = exported_operators(released, tmp_path / "released.onnx", dynamo, rank)
    assert found["Transpose"] == 2
    assert found["Reshape"] == 2
    assert found["Unsqueeze"] >= 1


def test_shows_its_settings() -> None:
    assert repr(UnifiedNorm(8)) == (
        "UnifiedNorm(8, mode='robust', window_size=4, warmup_iters=0, outlier_filtration=True, "
        "eps=1e-05, momentum=0.9)"
    )
    assert "mode='official', window_size=(4, 2), warmup_iters=4000" in repr(
        UnifiedNorm(8, mode="official", window_size=(4, 2))
    )
    assert "warmup_iters=4000, outlier_filtration=False" in repr(UnifiedNorm(8, mode="paper"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"normalized_shape": (4, 8)}, r"\(4, 8\)"),
        ({"normalized_shape": ()}, "one axis"),
        ({"normalized_shape": 0}, "at least 1 channel"),
        ({"mode": "batch"}, "robust, paper, official"),
        ({"window_size": 0}, "window_size"),
        ({"window_size": (4, 4)}, "window_size"),
        ({"window_size": 2.0}, "window_size"),
        ({"warmup_iters": -1}, "warmup_iters"),
        ({"eps": 0}, "eps"),
        ({"momentum": 1.0}, "momentum"),
    ],
)
def test_refuses_settings_out_of_range(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        UnifiedNorm(**{"normalized_shape": 8, **arguments})


@pytest.mark.parametrize("training", [True, False])
def test_refuses_another_number_of_channels(training: bool) -> None:
    with pytest.raises(InputError, match=r"UnifiedNorm\(1\) got an input of shape \(2, 5, 8\)"):
        UnifiedNorm(1).train(training)(torch.randn(2, 5, 8))


@pytest.mark.parametrize(
    "mask",
    [torch.zeros(5, 2, dtype=torch.bool), torch.zeros(2, 5)],
    ids=["shape", "dtype"],
)
def test_refuses_a_mask_that_does_not_fit(mask: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"bool of shape \(2, 5\)"):
        UnifiedNorm(8)(torch.randn(2, 5, 8), mask)


@pytest.mark.parametrize("mode", MODES)
def test_padding_has_no_share_in_statistics(mode: str) -> None:
    x = torch.randn(2, 6, 8)
    padding = torch.arange(6).expand(2, 6) >= 4
    masked, cut = UnifiedNorm(8, mode=mode), UnifiedNorm(8, mode=mode)
    y = masked(x.masked_fill(padding.unsqueeze(-1), float("nan")), padding)
    torch.testing.assert_close(y[:, :4], cut(x[:, :4]), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(masked.running_var, cut.running_var, rtol=1e-6, atol=0)


@pytest.mark.parametrize("mode", ["robust", "paper"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_differ_by_rounding_alone(mode: str, dtype: torch.dtype) -> None:
    """Statistics stay float32; outputs and gradients come in the input's dtype."""
    wide, narrow = UnifiedNorm(8, mode=mode), UnifiedNorm(8, mode=mode).to(dtype)
    for _ in range(6):
        x = torch.randn(4, 10, 8).to(dtype)
        dy = torch.randn(4, 10, 8).to(dtype)
        a, b = x.float().requires_grad_(), x.clone().requires_grad_()
        wide.zero_grad()
        narrow.zero_grad()
        expected, y = wide(a), narrow(b)
        expected.backward(dy.float())
        y.backward(dy)
        rounding = torch.finfo(dtype).eps
        assert (y.dtype, b.grad.dtype, narrow.weight.grad.dtype) == (dtype,) * 3
        torch.testing.assert_close(y.float(), expected, rtol=rounding, atol=1e-6)
        torch.testing.assert_close(b.grad.float(), a.grad, rtol=rounding, atol=rounding)
    torch.testing.assert_close(narrow.running_var, wide.running_var, rtol=1e-6, atol=0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrowing_the_module_keeps_its_statistics(mode: str, dtype: torch.dtype) -> None:
    norm = trained(mode)
    norm.running_var.fill_(1e5)  # beyond float16
    narrow = deepcopy(norm).to(dtype).eval()
    assert narrow.weight.dtype == dtype
    for name, value in narrow.named_buffers():
        assert torch.equal(value, norm.get_buffer(name)), name
    x = torch.randn(2, 5, 8).to(dtype)
    assert narrow(x).dtype == dtype
    torch.testing.assert_close(
        narrow(x).float(), norm.eval()(x.float()), rtol=8 * torch.finfo(dtype).eps, atol=1e-2
    )


def test_widening_the_module_widens_its_statistics() -> None:
    assert trained().double().running_var.dtype == torch.float64


@pytest.mark.parametrize("mode", MODES)
def test_copies_and_checkpoints_train_on_alike(mode: str) -> None:
    norm = trained(mode, warmup_iters=2)
    file = io.BytesIO()
    torch.save(norm.state_dict(), file)
    file.seek(0)
    loaded = UnifiedNorm(8, mode=mode, warmup_iters=2)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    copied = deepcopy(norm)
    for _ in range(5):
        x, dy = torch.randn(4, 10, 8), torch.randn(4, 10, 8)
        gradients = []
        for module in (norm, loaded, copied):
            leaf = x.clone().requires_grad_()
            module(leaf).backward(dy)
            gradients.append(leaf.grad)
        assert torch.equal(gradients[0], gradients[1])
        assert torch.equal(gradients[0], gradients[2])
    for name, value in norm.named_buffers():
        assert torch.equal(value, loaded.get_buffer(name)), name
        assert torch.equal(value, copied.get_buffer(name)), name


@pytest.mark.parametrize("mode", MODES)
def test_statistics_and_parameters_can_be_reset(mode: str) -> None:
    norm, new = trained(mode), UnifiedNorm(8, mode=mode)
    weight = norm.weight.clone()
    norm.reset_running_stats()
    assert torch.equal(norm.weight, weight)
    for name, value in new.named_buffers():
        assert torch.equal(norm.get_buffer(name), value), name
    norm.reset_parameters()
    assert torch.equal(norm.weight, new.weight)
    assert torch.equal(norm.bias, new.bias)


@pytest.mark.parametrize("mode", MODES)
def test_is_made_on_a_device_and_materialised_later(mode: str) -> None:
    norm = UnifiedNorm(8, mode=mode, device="meta", dtype=torch.bfloat16)
    assert all(tensor.is_meta for tensor in norm.state_dict().values())
    norm.to_empty(device="cpu")
    norm.reset_parameters()
    assert norm.weight.dtype == torch.bfloat16
    assert torch.equal(norm.running_var, torch.ones(8))


@pytest.mark.parametrize("mode", MODES)
def test_the_first_training_output_has_unit_second_moment(mode: str) -> None:
    y = UnifiedNorm(8, mode=mode)(torch.randn(4, 10, 8) * 7)
    torch.testing.assert_close(y.square().mean((0, 1)), torch.ones(8), rtol=1e-5, atol=0)


@pytest.mark.parametrize("mode", ["robust", "paper"])
def test_frozen_inputs_and_parameters_are_fine(mode: str) -> None:
    norm = UnifiedNorm(8, mode=mode)
    norm(torch.randn(2, 5, 8)).sum().backward()  # x needs no gradient
    assert norm.bias.grad is not None
    torch.testing.assert_close(norm.bias.grad, torch.full((8,), 10.0))
    norm.requires_grad_(False)
    x = torch.randn(2, 5, 8, requires_grad=True)
    norm(x).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("mode", MODES)
def test_a_second_derivative_is_refused_not_wrong(mode: str) -> None:
    x = torch.randn(2, 5, 8, requires_grad=True)
    y = UnifiedNorm(8, mode=mode)(x)
    (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
