"""Fashion-MNIST: reading the set, the kept slice, and a training that resumes bit for bit."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from models.fashion_mnist import data
from un_deploy.python_file import load_object

torch = pytest.importorskip("torch")
from models.fashion_mnist import train  # noqa: E402  (needs torch)
from models.fashion_mnist.networks import NETWORKS, as_input  # noqa: E402
from models.fashion_mnist.norms import NORMS  # noqa: E402
from models.fashion_mnist.outliers import with_outlier  # noqa: E402
from models.vit import vit_micro  # noqa: E402

pytestmark = pytest.mark.torch

TRAIN_IMAGES = 200  # not a multiple of the batch of 128: the last batch of an epoch is short


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write a gzipped IDX file of unsigned bytes."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">i4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    """Give other tests back the number of threads that a training sets."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    """A folder like the complete set's, of 200 training and 300 test images of the kept ones."""
    images, labels = data.load_kept()
    folder = tmp_path / "set"
    folder.mkdir()
    for split, part in (("train", slice(TRAIN_IMAGES)), ("t10k", slice(TRAIN_IMAGES, 500))):
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", images[part])
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", labels[part])
    return folder


def run_training(small_set: Path, out: Path, norm: str, *options: str) -> Result:
    arguments = ["--norm", norm, "--data", str(small_set), "--out", str(out), *options]
    return CliRunner().invoke(train.main, ["--epochs", "2", "--threads", "1", *arguments])


def read_log(out: Path, norm: str) -> list[dict]:
    lines = (out / f"vit_micro_{norm}_seed0.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_kept_slice_is_balanced() -> None:
    images, labels = data.load_kept()
    assert images.shape == (1000, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    assert np.bincount(labels).tolist() == [100] * 10
    assert data.KEPT.stat().st_size < 800_000


def test_kept_slice_is_the_start_of_each_class_of_the_test_set() -> None:
    if not data.DEBIAN_DIRECTORY.is_dir():
        pytest.skip("the complete set is not here: apt-get install dataset-fashion-mnist")
    images, labels = data.load("t10k")
    indices = data.kept_indices(labels)
    kept_images, kept_labels = data.load_kept()
    np.testing.assert_array_equal(kept_images, images[indices])
    np.testing.assert_array_equal(kept_labels, labels[indices])


def test_pixels_are_standardised() -> None:
    black_and_white = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1)
    expected = np.array([-0.2860 / 0.3530, (1 - 0.2860) / 0.3530], dtype=np.float32)
    pixels = data.pixel_values(black_and_white)
    assert pixels.shape == (2, 1, 1, 1)
    np.testing.assert_allclose(pixels.ravel(), expected, rtol=4 * np.finfo(np.float32).eps)


def test_kept_images_are_a_loader_for_any_command() -> None:
    inputs = load_object(f"{Path(data.__file__)}:kept_inputs")()
    images, _ = data.load_kept()
    np.testing.assert_array_equal(inputs["pixel_values"], data.pixel_values(images))


def test_a_written_idx_file_is_read_back(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(tmp_path / "a.gz", array)
    np.testing.assert_array_equal(data.read_idx(tmp_path / "a.gz"), array)


def test_a_missing_set_says_how_to_get_it(tmp_path: Path) -> None:
    result = run_training(tmp_path, tmp_path / "out", "ln")
    assert result.exit_code == 1
    assert "train-images-idx3-ubyte.gz: no such file" in result.output
    assert "apt-get install dataset-fashion-mnist" in result.output
    assert "--data" in result.output


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-20], id="truncated gzip"),
        pytest.param(lambda content: content[:30] + b"x" * 20 + content[50:], id="bytes changed"),
        pytest.param(lambda content: b"images", id="no gzip"),
        pytest.param(lambda content: gzip.compress(b"images"), id="no IDX"),
        pytest.param(lambda content: gzip.compress(gzip.decompress(content)[:-1]), id="short IDX"),
    ],
)
def test_a_damaged_file_is_named(small_set: Path, damage) -> None:
    path = small_set / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(data.DataError, match=path.name):
        data.load("t10k", small_set)


def test_images_without_labels_are_refused(small_set: Path) -> None:
    write_idx(small_set / "t10k-labels-idx1-ubyte.gz", np.zeros(3, dtype=np.uint8))
    with pytest.raises(data.DataError, match="images for"):
        data.load("t10k", small_set)


def test_learning_rate_rises_then_falls_to_zero() -> None:
    config = train.Config(norm="ln", seed=0, threads=1)
    rates = [train.learning_rate(step, 1000, config) for step in range(1001)]
    assert rates[0] == pytest.approx(1e-3 / 50)
    assert max(rates) == rates[49] == rates[50] == 1e-3
    assert rates[525] == pytest.approx(0.5e-3)  # half-way from 50 to 1000
    assert rates[1000] == pytest.approx(0, abs=1e-18)


def test_runs_that_differ_in_a_setting_differ_in_name() -> None:
    config = train.Config(norm="un", seed=0, threads=1)
    assert config.name == "vit_micro_un_seed0"
    assert replace(config, outliers=True).name == "vit_micro_un_seed0_outliers"
    assert replace(config, learning_rate=3e-3).name == "vit_micro_un_seed0_rate3"
    assert replace(config, network="swin_micro").name == "swin_micro_un_seed0"
    assert replace(config, norm="dyt", alpha=2.0).name == "vit_micro_dyt_seed0_alpha2"


def test_alpha_starts_where_it_is_told() -> None:
    config = train.Config(norm="dyt", seed=0, threads=1)
    usual, wide = config.model(), replace(config, alpha=2.0).model()
    for name, parameter in usual.named_parameters():
        expected = torch.full((1,), 2.0) if name.endswith("alpha") else parameter
        assert torch.equal(wide.get_parameter(name), expected)


def test_a_norm_without_alpha_refuses_one(small_set: Path, tmp_path: Path) -> None:
    refused = run_training(small_set, tmp_path, "ln", "--alpha", "2")
    assert refused.exit_code == 2 and "ln has no alpha" in refused.output


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_takes_the_images(network: str) -> None:
    pixels = torch.full((2, 1, 28, 28), 0.5)
    given = as_input(network, pixels)
    assert NETWORKS[network](norm_layer=NORMS["un-scaled"])(given).shape == (2, 10)
    rim = (given.shape[-1] - 28) // 2
    assert torch.equal(given[..., rim : rim + 28, rim : rim + 28], pixels)
    black = data.pixel_values(np.zeros((1, 28, 28), np.uint8)).min()
    outside = given.sum() - pixels.sum()
    assert outside == pytest.approx((given.numel() - pixels.numel()) * black, rel=1e-5)


def test_another_network_is_trained(small_set: Path, tmp_path: Path) -> None:
    options = ("--network", "t2t_vit_micro", "--epochs", "1")
    assert run_training(small_set, tmp_path, "un-scaled", *options).exit_code == 0
    log = (tmp_path / "t2t_vit_micro_un-scaled_seed0.jsonl").read_text().splitlines()
    assert json.loads(log[0])["config"]["network"] == "t2t_vit_micro"
    assert json.loads(log[-1])["event"] == "end"


def test_an_outlier_is_one_token_of_the_first_image() -> None:
    pixels = torch.ones(3, 1, 28, 28)
    outlier = with_outlier(pixels)
    assert torch.equal(pixels, torch.ones(3, 1, 28, 28))  # a copy
    changed = (outlier != 1).nonzero()
    assert len(changed) == 4 * 4 and torch.all(changed[:, 0] == 0)
    assert outlier.max() == 1000
    embed = vit_micro().patch_embed
    assert (embed(outlier) != embed(pixels)).any(1).sum() == 1


def test_batch_norm_is_over_all_tokens() -> None:
    x = torch.randn(4, 5, 3) * 2 + 1
    y = NORMS["bn"](3)(x)
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.var((0, 1), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_only_linear_and_convolution_weights_decay() -> None:
    config = train.Config(norm="ln", seed=0, threads=1)
    decayed, rest = train.make_optimizer(vit_micro(), config).param_groups
    assert decayed["weight_decay"] == 0.05
    assert len(decayed["params"]) == 1 + 4 * 4 + 1  # patches, four per block, head
    assert rest["weight_decay"] == 0
    assert len(decayed["params"]) + len(rest["params"]) == len(list(vit_micro().parameters()))


@pytest.mark.parametrize("norm", ["bn", "un", "un-official"])  # LN has no state to lose
def test_a_stopped_run_resumes_to_the_same_bits(
    small_set: Path, tmp_path: Path, norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_training(small_set, tmp_path / "whole", norm).exit_code == 0

    # Stop in the middle of the second epoch: its first step is lost with the process.
    train_epoch, calls = train.Training.train_epoch, []

    def stopping(self: train.Training, advance) -> float:
        calls.append(self.epochs_done)

        def stop() -> None:
            advance()
            if self.epochs_done == 1:
                raise RuntimeError("killed")

        return train_epoch(self, stop)

    with monkeypatch.context() as patch:
        patch.setattr(train.Training, "train_epoch", stopping)
        killed = run_training(small_set, tmp_path / "stopped", norm)
    assert str(killed.exception) == "killed"
    assert calls == [0, 1]
    assert not (tmp_path / "stopped" / f"vit_micro_{norm}_seed0.pt").exists()

    assert run_training(small_set, tmp_path / "stopped", norm).exit_code == 0
    name = f"vit_micro_{norm}_seed0.pt"
    whole = torch.load(tmp_path / "whole" / name, weights_only=True)
    resumed = torch.load(tmp_path / "stopped" / name, weights_only=True)
    assert whole.keys() == resumed.keys()
    for key, value in whole.items():
        assert torch.equal(value, resumed[key]), key

    def without_times(out: Path) -> list[dict]:
        timed = ("seconds", "time")
        lines = [line for line in read_log(out, norm) if line["event"] in ("epoch", "end")]
        return [{k: v for k, v in line.items() if k not in timed} for line in lines]

    assert [line["event"] for line in read_log(tmp_path / "whole", norm)] == [
        *("start", "epoch", "epoch", "end")
    ]
    assert [line["event"] for line in read_log(tmp_path / "stopped", norm)] == [
        *("start", "epoch", "resume", "epoch", "end")
    ]
    assert without_times(tmp_path / "whole") == without_times(tmp_path / "stopped")
    assert not list((tmp_path / "stopped").glob("*.resume.pt"))


def test_two_norms_of_one_seed_start_alike_and_see_the_same_images(
    small_set: Path, tmp_path: Path
) -> None:
    splits = [train.Dataset.load(split, small_set) for split in ("train", "t10k")]
    runs = [
        train.Training(train.Config(norm=norm, seed=3, threads=1), *splits, tmp_path)
        for norm in ("ln", "un")
    ]
    first, second = (run.model.state_dict() for run in runs)
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
    (images, labels), (other_images, other_labels) = (
        next(train.batches(run.train, 128, run.generator)) for run in runs
    )
    assert torch.equal(images, other_images)
    assert torch.equal(labels, other_labels)


def test_a_run_of_another_configuration_is_not_resumed(
    small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(train, "write_atomically", fail_on_weights(train.write_atomically))
        run_training(small_set, tmp_path, "ln")
    result = run_training(small_set, tmp_path, "ln", "--epochs", "3")
    assert result.exit_code == 1
    assert "another configuration" in result.output


def test_a_complete_run_is_not_repeated(small_set: Path, tmp_path: Path) -> None:
    assert run_training(small_set, tmp_path, "ln").exit_code == 0
    result = run_training(small_set, tmp_path, "ln")
    assert result.exit_code == 1
    assert "complete already" in result.output


def fail_on_weights(write_atomically):
    """As ``write_atomically``, but killed before the final weights are written."""

    def write(path: Path, write_to) -> None:
        if path.name == "vit_micro_ln_seed0.pt":
            raise RuntimeError("killed")
        write_atomically(path, write_to)

    return write
