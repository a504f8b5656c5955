"""PyTorch's transforms: evaluation goes through torch.func; training refuses what it cannot do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, fx, nn  # noqa: E402
from torch.autograd import forward_ad  # noqa: E402
from torch.func import functional_call, grad, hessian, jacrev, jvp, vjp, vmap  # noqa: E402

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm  # noqa: E402

pytestmark = pytest.mark.torch

MODES = ["robust", "paper", "official"]
FORMS = [{}, {"bias": False}, {"elementwise_affine": False}]
X = torch.randn(3, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def trained(**settings: object) -> UnifiedNorm:
    torch.manual_seed(0)
    norm = UnifiedNorm(8, **settings).double()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    for _ in range(3):
        norm(torch.randn(4, 5, 8, dtype=torch.float64) * 2)
    return norm.eval()


def scale(norm: UnifiedNorm) -> Tensor:
    weight = torch.ones(8) if norm.weight is None else norm.weight
    return weight / (norm.running_var + norm.eps).sqrt()


def of_parameters(norm: UnifiedNorm) -> tuple[dict[str, Tensor], Callable[..., Tensor]]:
    parameters = {name: p.detach() for name, p in norm.named_parameters()}
    return parameters, lambda p, x: functional_call(norm, p, (x,)).square().sum()


@pytest.mark.parametrize("form", FORMS, ids=["both", "no bias", "no affine"])
@pytest.mark.parametrize("mode", MODES)
def test_evaluation_has_all_derivatives(mode: str, form: dict[str, bool]) -> None:
    norm = trained(mode=mode, **form)
    torch.testing.assert_close(grad(lambda x: norm(x).sum())(X), scale(norm).expand_as(X))
    value, tangent = jvp(norm, (X,), (X,))
    assert torch.equal(value, norm(X))
    torch.testing.assert_close(tangent, X * scale(norm))
    torch.testing.assert_close(vjp(norm, X)[1](X)[0], X * scale(norm))
    curvature = hessian(lambda x: norm(x).square().sum() / 2)(X[0, 0])
    torch.testing.assert_close(curvature, torch.diag(scale(norm) ** 2))
    torch.testing.assert_close(jacrev(norm)(X[0, 0]), torch.diag(scale(norm)))


@pytest.mark.parametrize("channel_first", [False, True])
def test_evaluation_is_mapped(channel_first: bool) -> None:
    norm = trained()
    norm.channel_first = channel_first
    x = torch.randn(2, 8, 4, 8, dtype=torch.float64)
    for axis in (2, 3) if channel_first else (0, 1, 2):
        one_by_one = torch.stack([norm(part) for part in x.unbind(axis)], axis)
        torch.testing.assert_close(vmap(norm, axis, axis)(x), one_by_one)


def test_gradients_of_every_sample() -> None:
    """Each the gradient of that sample alone."""
    norm = trained()
    parameters, loss = of_parameters(norm)
    found = vmap(grad(loss), (None, 0))(parameters, X)
    for k, x in enumerate(X):
        norm.zero_grad()
        norm(x).square().sum().backward()
        for name, parameter in norm.named_parameters():
            torch.testing.assert_close(found[name][k], parameter.grad)


def test_ensembles_are_stacked() -> None:
    """Parameters and statistics of several norms, mapped over."""
    norms = [trained(momentum=momentum) for momentum in (0.5, 0.9)]
    parameters, buffers = torch.func.stack_module_state(norms)

    def run(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return functional_call(norms[0], (parameters, buffers), (X,))

    expected = torch.stack([norm(X) for norm in norms])
    torch.testing.assert_close(vmap(run)(parameters, buffers), expected)


TRANSFORMS: dict[str, Callable[[UnifiedNorm], object]] = {
    "grad": lambda norm: grad(lambda x: norm(x).sum())(X),
    "grad by parameters": lambda norm: grad(of_parameters(norm)[1])(of_parameters(norm)[0], X),
    "vmap": lambda norm: vmap(norm)(X),
    "jvp": lambda norm: jvp(norm, (X,), (X,)),
    "vjp": lambda norm: vjp(norm, X),
    "hessian": lambda norm: hessian(lambda x: norm(x).sum())(X),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("mode", MODES)
def test_training_refuses_transforms_and_counts_nothing(mode: str, transform: str) -> None:
    norm = trained(mode=mode).train()
    before = {name: value.clone() for name, value in norm.named_buffers()}
    with pytest.raises(InputError, match=r"torch\.func cannot .* in training: .* call eval\(\)"):
        TRANSFORMS[transform](norm)
    for name, value in norm.named_buffers():
        assert torch.equal(value, before[name]), name
    norm.frozen = True
    TRANSFORMS[transform](norm)


@pytest.mark.parametrize("mode", MODES)
def test_training_refuses_forward_mode_and_tracing(mode: str) -> None:
    norm = trained(mode=mode).train()
    before = int(norm.iters)
    with forward_ad.dual_level(), pytest.raises(InputError, match="no forward-mode derivative"):
        norm(forward_ad.make_dual(X, X))
    with pytest.raises(InputError, match=r"torch\.jit\.trace cannot trace .* in training"):
        torch.jit.trace(nn.Sequential(norm), X)
    assert int(norm.iters) == before
    assert torch.equal(torch.jit.trace(nn.Sequential(norm).eval(), X)(2 * X), norm(2 * X))


@pytest.mark.parametrize("training", [True, False])
def test_what_reads_the_source_is_told_what_to_do(training: bool) -> None:
    network = nn.Sequential(nn.Linear(8, 8), UnifiedNorm(8)).train(training)
    with pytest.raises(InputError, match=r"takes a tensor, not Proxy: .*is_leaf_module"):
        fx.symbolic_trace(network)
    with pytest.raises(InputError, match=r"torch\.jit\.script cannot compile UnifiedNorm\(8\)"):
        torch.jit.script(network)


class KeepsNorms(fx.Tracer):
    """What the message of the refusal says."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, UnifiedNorm) or super().is_leaf_module(m, module_qualified_name)


def test_a_tracer_that_keeps_norms_whole_trains_them() -> None:
    network = nn.Sequential(nn.Linear(8, 8), UnifiedNorm(8)).double()
    traced = fx.GraphModule(network, KeepsNorms().trace(network))
    traced(X).sum().backward()
    assert int(network[1].iters) == 1


@pytest.mark.parametrize("mode", MODES)
def test_functional_call_without_a_transform_trains(mode: str) -> None:
    """On the state that it is given."""
    norm = trained(mode=mode).train()
    state = {name: value.detach().clone() for name, value in norm.state_dict().items()}
    before = int(norm.iters)
    functional_call(norm, state, (X,))
    assert (int(norm.iters), int(state["iters"])) == (before, before + 1)
