"""A padding mask for the norms inside a network whose forward passes none on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm, padding  # noqa: E402

pytestmark = pytest.mark.torch

MASK = torch.arange(6) >= torch.tensor([[6], [4], [1]])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(UnifiedNorm(8), nn.Linear(8, 4), nn.ReLU(), UnifiedNorm(4))


def with_noise_in_padding(x: Tensor) -> Tensor:
    return torch.where(MASK.unsqueeze(-1), 1e6 * torch.randn(x.shape), x)


def test_every_norm_takes_the_mask() -> None:
    model, other = network(), network()
    x = torch.randn(3, 6, 8)
    with padding(model, MASK):
        y = model(x)
    z = other[0](x, MASK)
    expected = other[3](other[2](other[1](z)), MASK)
    torch.testing.assert_close(y, expected)
    for norm, alike in ((model[0], other[0]), (model[3], other[3])):
        assert torch.equal(norm.running_var, alike.running_var)


def test_what_padding_holds_does_not_matter() -> None:
    results = []
    for noisy in (False, True):
        model = network()
        torch.manual_seed(1)
        x = torch.randn(3, 6, 8)
        with padding(model, MASK):
            model(with_noise_in_padding(x) if noisy else x)[~MASK].sum().backward()
        results.append((model[0].running_var, model[3].running_var, model[1].weight.grad))
    for plain, noisy_one in zip(*results, strict=True):
        torch.testing.assert_close(plain, noisy_one)


def test_after_it_no_mask_is_left_whatever_happens() -> None:
    model = network()
    with pytest.raises(KeyError), padding(model, MASK):
        raise KeyError
    model(torch.randn(2, 5, 8))
    with padding(model, MASK), padding(model[0], MASK[:2]):
        assert model[0].outer_mask.shape == (2, 6)
        assert model[3].outer_mask.shape == (3, 6)
    assert model[0].outer_mask is None


def test_parts_take_a_mask_each() -> None:
    source, target = network(), network()
    with padding(source, MASK), padding(target, MASK[:, :4]):
        source(torch.randn(3, 6, 8))
        target(torch.randn(3, 4, 8))
    assert int(source[3].iters) == int(target[3].iters) == 1


def test_a_norm_that_the_mask_does_not_fit_is_refused() -> None:
    """As one of pooled tokens; it counts nothing."""
    model = network()
    with padding(model, MASK), pytest.raises(InputError, match=r"of shape \(3, 5\), not"):
        model(torch.randn(3, 5, 8))
    with padding(model, MASK), pytest.raises(InputError, match=r"of shape \(3,\), not"):
        model(torch.randn(3, 8))
    assert int(model[0].iters) == 0


def test_a_given_mask_goes_first_and_evaluation_reads_none() -> None:
    norm, other = UnifiedNorm(8), UnifiedNorm(8)
    x = torch.randn(3, 6, 8)
    with padding(norm, torch.zeros(3, 6, dtype=torch.bool)):
        norm(x, MASK)
    other(x, MASK)
    assert torch.equal(norm.running_var, other.running_var)
    with padding(norm, MASK):
        assert norm.eval()(torch.randn(7, 8)).shape == (7, 8)


def test_refuses_what_is_no_padding_mask() -> None:
    with pytest.raises(InputError, match="attention_mask == 0"), padding(network(), MASK.long()):
        pass
    with (
        pytest.raises(InputError, match="Linear holds no UnifiedNorm"),
        padding(nn.Linear(8, 8), MASK),
    ):
        pass


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_replay_needs_the_mask_too(reentrant: bool) -> None:
    model, plain = network(), network()
    x = torch.randn(3, 6, 8, requires_grad=True)
    with padding(model, MASK):
        checkpoint(model, x, use_reentrant=reentrant)[~MASK].sum().backward()
    with padding(plain, MASK):
        plain(x)[~MASK].sum().backward()
    torch.testing.assert_close(model[1].weight.grad, plain[1].weight.grad)
    with padding(model, MASK):
        loss = checkpoint(model, x, use_reentrant=reentrant)[~MASK].sum()
    with pytest.raises(InputError, match="put the backward inside"):
        loss.backward()
    checkpoint(model, x, use_reentrant=reentrant).sum().backward()


def test_compiled() -> None:
    """As one graph, which masks of other values do not compile anew."""
    model, plain = network(), network()
    torch.compiler.reset()
    run = torch.compile(model, fullgraph=True, backend="aot_eager")
    for number, mask in enumerate((MASK, MASK.flip(0), MASK.flip(1))):
        x = torch.randn(3, 6, 8)
        stance = "fail_on_recompile" if number else "default"
        with padding(model, mask), torch.compiler.set_stance(stance):
            y = run(x)
        with padding(plain, mask):
            torch.testing.assert_close(y, plain(x))
        torch.testing.assert_close(model[3].running_var, plain[3].running_var)
