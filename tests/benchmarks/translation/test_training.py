"""A tiny training on made sentences: batches, resumption to the bit, outliers, bfloat16."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from benchmarks.translation import bfloat16, sentences, train  # noqa: E402  (needs torch)
from models import nmt  # noqa: E402

pytestmark = pytest.mark.torch

SMALL = train.Config(
    *("un", 0), epochs=2, dim=16, hidden_dim=16, depth=1, num_heads=2, words=30, warmup_fraction=0.5
)


def corpus(count: int) -> sentences.Corpus:
    """Sentences of 1 to 12 words, the English the German backwards."""
    generator = torch.Generator().manual_seed(count)
    german = []
    for number in range(count):
        words = torch.randint(nmt.WORDS, 30, (1 + number % 12,), generator=generator)
        german.append(words.tolist())
    return sentences.Corpus(german, [sentence[::-1] for sentence in german])


def test_a_batch_is_padded_behind_and_shifted_by_one() -> None:
    batch = sentences.Corpus([[7, 8], [9]], [[10], [11, 12]]).batch([0, 1])
    assert batch["source_ids"].tolist() == [[7, 8, 2], [9, 2, 1]]
    assert batch["source_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["target_ids"].tolist() == [[2, 10, 1], [2, 11, 12]]
    assert batch["wanted_ids"].tolist() == [[10, 2, 1], [11, 12, 2]]


def test_an_epoch_has_every_pair_once_in_full_batches() -> None:
    made = corpus(3000)
    batches = [*sentences.in_random_order(made, torch.Generator().manual_seed(1))]
    tokens = [b["source_ids"].numel() + b["target_ids"].numel() for b in batches]
    assert sum(len(b["source_ids"]) for b in batches) == 3000
    assert max(tokens) <= sentences.BATCH_TOKENS and min(tokens[:-1]) > 0
    assert sum(tokens) / len(tokens) > 0.8 * sentences.BATCH_TOKENS
    words = sorted(b["source_ids"][b["source_ids"] >= nmt.WORDS].sum().item() for b in batches)
    assert sum(words) == sum(map(sum, made.german))
    again = next(iter(sentences.in_random_order(made, torch.Generator().manual_seed(1))))
    assert torch.equal(batches[0]["source_ids"], again["source_ids"])


def test_the_order_of_length_has_every_place_once() -> None:
    groups = sentences.in_order_of_length(corpus(500))
    assert sorted(place for group in groups for place in group) == [*range(500)]


def test_a_corpus_is_read_as_it_was_written(tmp_path: Path) -> None:
    prepare = pytest.importorskip("benchmarks.translation.prepare")
    made = corpus(20)
    flat = prepare._flat("german", made.german) | prepare._flat("english", made.english)
    sentences.np.savez(tmp_path / "a.npz", **flat)
    assert sentences.Corpus.load(tmp_path / "a.npz") == made


def test_the_rate_rises_then_falls_to_zero() -> None:
    config = replace(SMALL, warmup_fraction=0.05)
    assert train.rate(0.025, config) == pytest.approx(1e-3)
    assert train.rate(0.05, config) == pytest.approx(2e-3)
    assert train.rate(0.525, config) == pytest.approx(1e-3)
    assert train.rate(1.0, config) == pytest.approx(0, abs=1e-9)


def test_a_stopped_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    made, test = corpus(700), corpus(40)
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    train.Training(SMALL, made, test, tmp_path / "whole").run()

    stopped = train.Training(SMALL, made, test, tmp_path / "stopped")
    stopped.record = lambda event, **values: _stop(stopped, event, values)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    train.Training(SMALL, made, test, tmp_path / "stopped").run()

    one, two = (
        torch.load(tmp_path / name / "nmt_un_seed0.pt", weights_only=True)
        for name in ("whole", "stopped")
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(value, two[key]) for key, value in one.items())
    logs = {
        name: [json.loads(s) for s in (tmp_path / name / "nmt_un_seed0.jsonl").open()]
        for name in ("whole", "stopped")
    }
    events = {name: [line["event"] for line in log] for name, log in logs.items()}
    assert events["whole"] == ["start", "epoch", "epoch", "end"]
    assert events["stopped"] == ["start", "epoch", "resume", "epoch", "end"]
    assert logs["whole"][-1]["test_loss"] == logs["stopped"][-1]["test_loss"]
    losses = [line["test_loss"] for line in logs["whole"] if line["event"] == "epoch"]
    assert losses[1] < losses[0]
    assert logs["whole"][2]["steps"] == 2 * logs["whole"][1]["steps"]
    assert not [*tmp_path.rglob("*.resume.pt")]


def _stop(training: train.Training, event: str, values: dict) -> None:
    """Be killed in the second epoch, when the first is saved."""
    if training.epochs_done == 2:
        raise KeyboardInterrupt
    train.Training.record(training, event, **values)


def test_a_run_of_another_configuration_is_not_resumed(tmp_path: Path) -> None:
    made = corpus(30)
    first = train.Training(SMALL, made, made, tmp_path)
    torch.save(first.state(), first.resume_file)
    with pytest.raises(train.click.ClickException, match="another configuration"):
        train.Training(replace(SMALL, epochs=3), made, made, tmp_path)


def test_an_outlier_is_one_token_of_the_source_and_of_one_step() -> None:
    network = train.network_of(SMALL).eval()
    batch = corpus(8).batch(range(8))
    seen: list[torch.Tensor] = []
    network.encoder.layers[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    target: list[torch.Tensor] = []
    network.decoder.layers[0].register_forward_pre_hook(lambda _, args: target.append(args[0]))
    train.loss_of(network, batch)
    train.outlier_in_next_source(network)
    train.loss_of(network, batch)
    train.loss_of(network, batch)
    changed = (seen[0] != seen[1]).any(2).nonzero().tolist()
    assert changed == [[0, 0]]
    position = network.encoder.embed_positions(1, 0)[0]
    ratio = (seen[1][0, 0] - position) / (seen[0][0, 0] - position)
    torch.testing.assert_close(ratio, torch.full((16,), 1000.0), rtol=1e-3, atol=0)
    assert torch.equal(seen[2], seen[0]) and torch.equal(target[0], target[1])


def test_bfloat16_is_compared_by_its_last_losses() -> None:
    single, half = (bfloat16.losses(SMALL, corpus(1600), 12, half) for half in (False, True))
    assert len(single) == len(half) == 12 and single[-1] < single[0]
    found = bfloat16.compared(single, half)
    assert found["finite"] and found["near"] and 0 < found["apart"] < 0.01
    far = bfloat16.compared([1.0] * 20, [1.0] * 10 + [1.02] * 10)
    assert not far["near"] and far["apart"] == pytest.approx(0.02)
    assert not bfloat16.compared([1.0] * 20, [1.0] * 19 + [float("nan")])["finite"]
