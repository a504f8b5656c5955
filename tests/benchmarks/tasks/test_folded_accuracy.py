"""On made images: the folded graph answers as PyTorch does, and a changed one does not."""

from __future__ import annotations

from copy import deepcopy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from benchmarks.tasks import folded_accuracy  # noqa: E402
from models.fashion_mnist.train import Dataset  # noqa: E402
from models.norms import NORMS  # noqa: E402
from models.vit import vit_micro  # noqa: E402

pytestmark = pytest.mark.torch


def test_a_folded_graph_classifies_as_pytorch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    pixels = torch.randn(60, 1, 28, 28)
    network = vit_micro(norm_layer=NORMS["un"])
    network.train()(pixels)
    labels = network.eval()(pixels).argmax(1)
    labels[:15] = (labels[:15] + 1) % 10
    found = folded_accuracy.judge(network, Dataset(pixels, labels))
    assert found["test_accuracy"] == found["folded_accuracy"] == 0.75
    assert found["other_class"] == 0 and found["folded"] == 9 and found["images"] == 60
    assert 0 < found["largest_difference"] < 1e-4 * found["largest_logit"]

    to_onnx = folded_accuracy.to_onnx

    def of_another(module, inputs):
        changed = deepcopy(module)
        with torch.no_grad():
            changed.head.bias[3] += 100
        return to_onnx(changed, inputs)

    monkeypatch.setattr(folded_accuracy, "to_onnx", of_another)
    wrong = folded_accuracy.judge(network, Dataset(pixels, labels))
    assert wrong["other_class"] > 30 and wrong["largest_difference"] > 90
