"""A small run of the comparison: folded parts write PyTorch's sentences."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from benchmarks import beam_search

pytestmark = pytest.mark.torch


@pytest.mark.slow
def test_a_short_training_is_copied_alike() -> None:
    result = beam_search.measure(steps=150, count=20)
    assert result["norms"] == {"encoder": 5, "first": 7, "step": 7}
    assert [one["beams"] for one in result["searches"]] == [1, 4]
    for one in result["searches"]:
        assert one["differ_beyond_margin"] == 0
        assert one["same"] >= 20 - one["close"] and one["close"] <= 5
        assert 0 < one["largest_score_difference"] < 1e-5


def test_parts_that_compute_something_else_are_seen() -> None:
    network, _ = beam_search.train(2)
    source = {
        name: tensor.numpy()
        for name, tensor in beam_search.sentences(20, beam_search.torch.Generator()).items()
    }
    right = beam_search.search(beam_search.in_pytorch(network), source, 4)
    with beam_search.torch.no_grad():
        network.decoder.layer_norm.weight[0] *= 3
    wrong = beam_search.search(beam_search.in_pytorch(network), source, 4)
    assert right.scores.shape == wrong.scores.shape
    assert abs(right.scores - wrong.scores).max() > 1e-3
