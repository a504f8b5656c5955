"""PyTorch's fused encoder path computes LayerNorm; a converted layer computes its own norms."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Literal, get_args

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from tests.support.networks.trained_like import draw_norms  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402
from un_deploy.nn import UnifiedNorm, convert_norms  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:The PyTorch API of nested"),
]

DIM, TOKENS = 16, 6
Mask = Literal["none", "padding", "causal", "both"]
PADDING = torch.arange(TOKENS) >= torch.tensor([[TOKENS], [4], [2]])


class Own(nn.TransformerEncoderLayer):
    """A subclass with a forward of its own in front of PyTorch's."""

    def forward(self, src: Tensor, *args: Tensor, **kwargs: Tensor) -> Tensor:
        return super().forward(src * 2, *args, **kwargs)


def layer(kind: type[nn.TransformerEncoderLayer] = nn.TransformerEncoderLayer, **settings: object):
    return kind(DIM, 4, 32, batch_first=True, **settings)


def encoder(**settings: object) -> nn.Module:
    return nn.TransformerEncoder(layer(**settings), 2, nn.LayerNorm(DIM))


def converted(model: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    convert_norms(model)
    return draw_norms(model)


def masks(model: nn.Module, mask: Mask) -> dict[str, Tensor]:
    causal = nn.Transformer.generate_square_subsequent_mask(TOKENS)
    of_tokens = "mask" if isinstance(model, nn.TransformerEncoder) else "src_mask"
    return {
        "none": {},
        "padding": {"src_key_padding_mask": PADDING},
        "causal": {of_tokens: causal},
        "both": {of_tokens: causal, "src_key_padding_mask": PADDING.float() * -1e9},
    }[mask]


def assert_alike_without_gradient(model: nn.Module, mask: Mask = "none") -> None:
    """On real tokens: of padded ones PyTorch says nothing."""
    x = torch.randn(3, TOKENS, DIM)
    real = torch.ones(3, TOKENS, dtype=torch.bool) if mask in ("none", "causal") else ~PADDING
    expected = model(x, **masks(model, mask)).detach()
    for without_gradient in (torch.no_grad, torch.inference_mode):
        with without_gradient():
            y = model(x, **masks(model, mask))
        assert (y - expected)[real].abs().max() <= 1e-6


def test_an_unconverted_layer_takes_the_fused_path() -> None:
    """Else there would be nothing to keep away from."""
    plain = layer().eval()
    plain.norm1.forward = None  # type: ignore[assignment]
    with torch.no_grad():
        assert plain(torch.randn(3, TOKENS, DIM)).shape == (3, TOKENS, DIM)


@pytest.mark.parametrize("mask", get_args(Mask))
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
@pytest.mark.parametrize("make", [layer, encoder], ids=["layer", "encoder"])
def test_evaluation_is_the_same_without_gradient(
    make: Callable[..., nn.Module], norm_first: bool, activation: str, mask: Mask
) -> None:
    model = converted(make(norm_first=norm_first, activation=activation))
    assert_alike_without_gradient(model, mask)


@pytest.mark.parametrize("mask", ["none", "padding"])
def test_of_a_subclass_and_of_a_transformer(mask: Mask) -> None:
    assert_alike_without_gradient(converted(layer(Own)), mask)
    transformer = converted(nn.Transformer(DIM, 4, 1, 1, 32, batch_first=True))
    assert_alike_without_gradient(transformer.encoder, mask)


def pickled(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded: nn.Module = torch.load(file, weights_only=False)
    return loaded


def loaded(model: nn.Module) -> nn.Module:
    """The state of a converted model in another converted model."""
    other = encoder()
    convert_norms(other)
    other.load_state_dict(model.state_dict())
    return other.eval()


@pytest.mark.parametrize("again", [deepcopy, pickled, loaded])
def test_of_a_model_that_was_copied_or_saved(again: Callable[[nn.Module], nn.Module]) -> None:
    model = converted(encoder())
    copy = again(model)
    assert_alike_without_gradient(copy, "padding")
    x = torch.randn(3, TOKENS, DIM)
    assert torch.equal(copy(x), model(x))


def test_of_an_encoder_made_from_a_converted_layer() -> None:
    model = draw_norms(nn.TransformerEncoder(converted(layer()), 2))
    assert_alike_without_gradient(model, "padding")


@pytest.mark.parametrize("choice", [{"only": "*.1.norm2"}, {"keep": "layers.0.*"}])
def test_where_some_norms_are_kept(choice: dict[str, str]) -> None:
    model = encoder()
    convert_norms(model, **choice)
    assert_alike_without_gradient(draw_norms(model), "padding")


def test_without_norms() -> None:
    model = encoder()
    convert_norms(model, "none")
    assert_alike_without_gradient(model.eval(), "padding")


def test_unconverted_layers_keep_the_fused_path() -> None:
    model = encoder()
    convert_norms(model, only="norm")
    assert model.use_nested_tensor
    assert model.layers[0].activation_relu_or_gelu == 1


def test_of_norms_put_in_by_hand() -> None:
    own = layer()
    own.norm1, own.norm2 = UnifiedNorm(DIM), UnifiedNorm(DIM)
    draw_norms(own)
    for mask in get_args(Mask):
        assert_alike_without_gradient(own, mask)
    with torch.no_grad(), pytest.raises(InputError, match="enable_nested_tensor=False"):
        stacked = nn.TransformerEncoder(own, 2).eval()
        stacked(torch.randn(3, TOKENS, DIM), src_key_padding_mask=PADDING)
    assert_alike_without_gradient(nn.TransformerEncoder(own, 2, None, False).eval(), "padding")


@pytest.mark.parametrize(
    "norm_first",
    [False, pytest.param(True, marks=pytest.mark.slow)],
    ids=["post-norm", "pre-norm"],
)
def test_compiled(norm_first: bool) -> None:
    model = converted(layer(norm_first=norm_first))
    x = torch.randn(3, TOKENS, DIM)
    expected = model(x, src_key_padding_mask=PADDING).detach()
    torch.compiler.reset()
    run = torch.compile(model, backend="aot_eager")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        y = run(x, src_key_padding_mask=PADDING)
    assert (y - expected)[~PADDING].abs().max() <= 1e-6


@pytest.mark.slow
def test_compiled_before_the_conversion() -> None:
    model = layer().eval()
    x = torch.randn(3, TOKENS, DIM)
    torch.compiler.reset()
    run = torch.compile(model, backend="aot_eager")
    with torch.no_grad():
        run(x)
    names = convert_norms(run).converted
    assert names == ["_orig_mod.norm1", "_orig_mod.norm2"]
    expected = draw_norms(model)(x).detach()
    with torch.no_grad():
        assert (run(x) - expected).abs().max() <= 1e-6
