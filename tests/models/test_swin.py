"""The Swin recipe: its architecture, Microsoft's names, and images of any size."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

from models import swin  # noqa: E402
from tests.support.isomorphism import differences  # noqa: E402
from tests.support.networks.exports import Factory, exported  # noqa: E402
from tests.support.networks.trained_like import variant  # noqa: E402
from un_deploy.graph.fold.fold import fold_graph  # noqa: E402
from un_deploy.graph.proof.prove import prove  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx  # noqa: E402

pytestmark = pytest.mark.torch

NAMES = json.loads((Path(__file__).parent / "swin_tiny_names.json").read_text("utf-8"))
"""Names and shapes of Microsoft's swin_tiny_patch4_window7_224, 173 parameters and 17 buffers."""


def test_microsofts_names_load_strictly() -> None:
    model = swin.swin_tiny()
    assert {name: list(value.shape) for name, value in model.state_dict().items()} == NAMES
    state = {
        name: torch.zeros(shape, dtype=torch.int64 if name.endswith("_index") else torch.float32)
        for name, shape in NAMES.items()
    }
    model.load_state_dict(state, strict=True)


def test_weights_load_at_another_image_size() -> None:
    """Masks are made from the sizes, and are no weights."""
    state = swin.swin_micro().state_dict()
    other = swin.swin_micro(image_size=(20, 45))
    kept = {name: value.clone() for name, value in other.named_buffers()}
    other.load_state_dict(state, strict=True)
    for name, value in other.named_buffers():
        assert torch.equal(value, kept[name])
    assert other(**other.example_inputs(3)).shape == (3, 10)


def test_relative_positions_tell_every_offset_apart() -> None:
    index = swin.swin_micro(window=2).layers[0].blocks[0].attn.relative_position_index
    # Tokens 0 1 / 2 3: rows of offsets times three, and columns.
    assert index.tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_what_wraps_around_is_not_attended_to() -> None:
    """A shifted block mixes no token at the top with one at the bottom, nor left with right."""
    torch.manual_seed(0)
    block = swin.Block(4, (4, 4), 2, 1, nn.LayerNorm, shifted=True)
    x = torch.randn(1, 16, 4)
    moved = x.clone()
    moved[0, 0] += 1.0  # the token at the top left
    with torch.no_grad():
        differs = (block(moved) - block(x)).abs().amax(-1)[0].gt(1e-6)
    assert differs.nonzero().flatten().tolist() == [0]


def test_zeros_are_padded_behind_the_norm() -> None:
    """A shift of the norm moves the tokens, and not what is put in beside them."""
    torch.manual_seed(0)
    block = swin.Block(4, (3, 3), 4, 1, nn.LayerNorm, shifted=False)
    nn.init.normal_(block.norm1.bias)
    x = torch.randn(1, 9, 4)
    padded = torch.zeros(1, 4, 4, 4)
    padded[:, :3, :3] = block.norm1(x).reshape(1, 3, 3, 4)
    wanted = x + block.attn(padded.reshape(1, 16, 4), None).reshape(1, 4, 4, 4)[:, :3, :3].reshape(
        1, 9, 4
    )
    torch.testing.assert_close(block(x), wanted + block.mlp(block.norm2(wanted)))


@pytest.mark.parametrize("sizes", [{"num_heads": (3, 4)}, {"depths": (2,)}])
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"no multiple|differ in length"):
        swin.swin_micro(**sizes)


@pytest.mark.parametrize(
    ("size", "form", "exporter", "dynamic"),
    [(26, "un", "dynamo", True), (28, "released", "torchscript", False)],
)
def test_every_norm_folds(size: int, form: str, exporter: Exporter, dynamic: bool) -> None:
    assert_folds(partial(swin.swin_micro, image_size=size), 9, 1, form, exporter, dynamic)


@pytest.mark.slow
def test_swin_tiny_folds_where_windows_are_padded() -> None:
    """Where they fit: tests/end_to_end/test_folded_is_no_norm.py."""
    factory = partial(swin.swin_tiny, image_size=200)
    assert_folds(factory, 29, 3, "released", "torchscript", dynamic=False)


def assert_folds(
    factory: Factory, norms: int, reductions: int, form: str, exporter: Exporter, dynamic: bool
) -> None:
    """Ours and the released module, where windows fit and where they are padded: to the network
    without norms whose reductions have a bias."""
    original = exported(factory, form, dynamic, exporter, forwards=3)
    folded = fold_graph(original.clone())
    assert len(folded.report.folded) == norms and folded.report.stayed == ()
    gained = folded.report.gained_biases
    assert len(gained) == reductions
    without_norms = exported(factory, "none", dynamic, exporter)
    assert differences(folded.model, without_norms, gained_biases=gained) == []
    assert prove(original, folded).passed


def test_where_a_shift_cannot_go_back_it_stays_in_front_of_a_padded_window() -> None:
    """As one Add: a channel's scale is so small that its shift would drown the stream."""
    network = variant(partial(swin.swin_micro, image_size=26), "un")
    with torch.no_grad():
        network.layers[0].blocks[1].norm1.weight[3] = 1e-5
    original = to_onnx(network, network.example_inputs(2), exporter="torchscript")
    folded = fold_graph(original.clone())
    (site,) = folded.report.stayed
    assert site.label.endswith("blocks.1.norm1")
    assert "its shift stays as one Add" in site.reason and "digits would be lost" in site.reason
    assert len(folded.report.folded) == 8
    assert prove(original, folded).passed
