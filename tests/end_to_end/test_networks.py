"""Networks of transformers, diffusers and timm: each folds as docs/networks.md has it.

`make networks` measures all of them, and `make networks-test` installs the libraries.
"""

from __future__ import annotations

import importlib.util

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from benchmarks.networks.measure import measure  # noqa: E402  (needs torch)
from benchmarks.networks.page import faults  # noqa: E402
from tests.support.networks.zoo import NETWORKS  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.networks]

#: All their norms fold in every mode.
FEW = {"BERT, sequences": 5, "ViT": 5, "Swin, timm": 11}
DOZEN = {
    "RoBERTa": 5,
    "DeBERTa-v2": 6,
    "ModernBERT": 6,
    "GPT-2": 5,
    "BART": 12,
    "Wav2Vec2": 9,
    "Swin": 11,
    "BEiT": 5,
    "SigLIP": 6,
    "DiT": 5,
    "PVTv2, timm": 19,
    "CaiT, timm": 7,
}
ALL = [*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in DOZEN)]


@pytest.mark.parametrize("name", ALL)
def test_every_norm_folds_in_every_mode(name: str) -> None:
    network = NETWORKS[name]
    if importlib.util.find_spec(network.library) is None:
        pytest.skip(f"{network.library} is not installed; make networks-test installs it")
    found = measure(network)
    assert faults([found]) == []
    norms = {**FEW, **DOZEN}[name]
    counts = {mode: (cell["folded"], cell["norms"]) for mode, cell in found["cells"].items()}
    assert counts == dict.fromkeys(found["cells"], (norms, norms))
