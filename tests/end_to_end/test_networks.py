"""Networks that people have, through both exporters, one static and one dynamic: every norm folds.

Three are built by hand as the libraries build theirs. A dozen come from transformers, diffusers and
timm, which `make networks-test` installs; `make networks` measures all, exported in all four ways,
for docs/networks.md.
"""

from __future__ import annotations

import importlib.util

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from benchmarks.networks.measure import measure  # noqa: E402  (needs torch)
from benchmarks.networks.page import faults  # noqa: E402
from tests.support.networks.exports import HALVES  # noqa: E402
from tests.support.networks.zoo import NETWORKS, by_hand  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.networks]

BY_HAND = {network.name: network for network in by_hand.NETWORKS}

#: How many norms they have, those of the weight of an RMSNorm included.
NORMS = {"BERT, by hand": 5, "Llama, by hand": 5, "DETR, by hand": 7}
DOZEN = {
    "BERT, sequences": 5,
    "DeBERTa-v2": 6,
    "ModernBERT": 6,
    "GPT-2": 5,
    "BART": 12,
    "Wav2Vec2": 9,
    "ViT": 5,
    "MobileViT": 21,
    "YOLOS": 5,
    "DiT": 5,
    "Swin, timm": 11,
    "CaiT, timm": 7,
}


@pytest.mark.parametrize(("turn", "name"), [*enumerate(NORMS)])
def test_networks_by_hand(turn: int, name: str) -> None:
    found = measure(BY_HAND[name], HALVES[turn % 2])
    assert faults([found]) == []
    for mode, cell in found["cells"].items():
        assert cell["folded"] + cell["others_folded"] == NORMS[name], mode
        assert cell["more"] == {}, mode


@pytest.mark.slow
@pytest.mark.parametrize(("turn", "name"), [*enumerate(DOZEN)])
def test_networks_of_libraries(turn: int, name: str) -> None:
    network = NETWORKS[name]
    if importlib.util.find_spec(network.library) is None:
        pytest.skip(f"{network.library} is not installed; make networks-test installs it")
    found = measure(network, HALVES[turn % 2])
    assert faults([found]) == []
    for mode, cell in found["cells"].items():
        assert (cell["folded"], cell["norms"]) == (DOZEN[name], DOZEN[name]), mode
