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
from tests.support.networks.exports import exported  # noqa: E402
from un_deploy.graph.fold.fold import fold_graph  # noqa: E402
from un_deploy.graph.proof.prove import prove  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter  # noqa: E402

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


@pytest.mark.parametrize(("exporter", "dynamic"), [("dynamo", True), ("torchscript", False)])
@pytest.mark.parametrize("form", ["un", "released"])
def test_every_norm_folds_where_windows_fit(form: str, exporter: Exporter, dynamic: bool) -> None:
    """The released module as ours: to the network without norms whose reductions have a bias."""
    original = exported(swin.swin_micro, form, dynamic, exporter)
    folded = fold_graph(original.clone())
    assert len(folded.report.folded) == 9 and folded.report.stayed == ()
    gained = folded.report.gained_biases
    assert len(gained) == 1
    without_norms = exported(swin.swin_micro, "none", dynamic, exporter)
    assert differences(folded.model, without_norms, gained_biases=gained) == []
    assert prove(original, folded).passed


def test_the_shift_in_front_of_a_padded_window_stays() -> None:
    """As one Add; its scale, and the other norms, fold: two blocks pad 13x13 tokens to 14x14."""
    padded = partial(swin.swin_micro, image_size=26)
    original = exported(padded, "un", dynamic=True)
    folded = fold_graph(original.clone())
    assert [site.label.rpartition(".")[2] for site in folded.report.stayed] == ["norm1"] * 2
    assert all("shift stays as one Add" in site.reason for site in folded.report.stayed)
    assert len(folded.report.folded) == 7
    assert prove(original, folded).passed
