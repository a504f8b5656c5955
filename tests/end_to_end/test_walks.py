"""What an engineer does with a model of transformers or timm, from LayerNorm to the folded file.

Commands run in a folder outside the checkout, with the un-deploy that is installed.
`make networks-test` installs what this needs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")
from torch import Tensor, nn  # noqa: E402

from un_deploy.nn import UnifiedNorm, convert_norms, load_pretrained, save_pretrained  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.networks]

STEPS = 20


def un_deploy(folder: Path, *arguments: str) -> str:
    """What the command prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "un_deploy", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(module: nn.Module, inputs: str, data: Tensor, labels: Tensor) -> list[float]:
    """The loss of each step."""
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    losses = []
    module.train()
    for _ in range(STEPS):
        out = module(**{inputs: data})
        loss = nn.functional.cross_entropy(getattr(out, "logits", out), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    module.eval()
    return losses


def in_onnx_runtime(file: Path, inputs: Mapping[str, Tensor]) -> np.ndarray:
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    return output


def assert_equal(found: np.ndarray, expected: Tensor) -> None:
    assert np.abs(found - expected.numpy()).max() < 1e-5 * expected.abs().max()


def test_bert_from_a_folder_to_a_folder_to_a_folded_file(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=32, num_labels=3,
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "bert")

    module = load_pretrained(tmp_path / "bert")
    norms = convert_norms(module).converted
    assert len(norms) == 5
    tokens = torch.randint(50, (64, 12))
    losses = train(module, "input_ids", tokens, tokens[:, 1] % 3)
    assert losses[-1] < 0.8 * losses[0]
    save_pretrained(module, tmp_path / "bert-un")

    opened = [f"--dynamic={name}:1=sequence" for name in ("input_ids", "attention_mask")]
    said = un_deploy(tmp_path, "export", "bert-un", "-o", "bert.onnx", *opened, "--json")
    report = json.loads(said)
    assert report["verification"]["verdict"] == "proven"
    assert sorted(
        site["label"] for site in report["fold"]["sites"] if site["status"] == "folded"
    ) == sorted(norms)
    for length in (5, 17):
        mask = torch.ones(3, length, dtype=torch.int64)
        mask[1, 3:] = 0
        inputs = {"input_ids": torch.randint(50, (3, length)), "attention_mask": mask}
        with torch.no_grad():
            expected = module(**inputs).logits
        assert_equal(in_onnx_runtime(tmp_path / "bert.onnx", inputs), expected)

    few = ("--builds=1", "--rounds=2", "--sample-ms=1", "--dim=batch=2", "--dim=sequence=9")
    report = json.loads(un_deploy(tmp_path, "compare", "bert-un", *opened, *few, "--json"))
    assert {one["kind"] for one in report["timed"]} == {"ln", "unfolded", "folded", "none"}
    assert report["missing"] == {}


def test_a_vit_of_timm_with_ten_classes_and_a_checkpoint(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    module = timm.create_model("vit_tiny_patch16_224", num_classes=10, img_size=32, depth=2)
    norms = convert_norms(module).converted
    assert len(norms) == 5
    pictures = torch.randn(40, 3, 32, 32)
    losses = train(module, "x", pictures, torch.arange(40) % 10)
    assert losses[-1] < losses[0]
    assert {int(one.iters) for one in module.modules() if isinstance(one, UnifiedNorm)} == {STEPS}
    torch.save(module.state_dict(), tmp_path / "vit.pt")

    spec = "timm:vit_tiny_patch16_224,num_classes=10,img_size=32,depth=2"
    saved = ("--norm=un", "--checkpoint=vit.pt", "--json")
    report = json.loads(un_deploy(tmp_path, "export", spec, *saved, "-o", "vit.onnx"))
    assert report["verification"]["verdict"] == "proven"
    assert len([site for site in report["fold"]["sites"] if site["status"] == "folded"]) == 5
    with torch.no_grad():
        expected = module(pictures[:3])
    assert expected.shape == (3, 10)
    assert_equal(in_onnx_runtime(tmp_path / "vit.onnx", {"x": pictures[:3]}), expected)
