"""Made text through all of it: prepared, trained a little, translated by both runtimes, judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("sentencepiece", reason="benchmarks/translation/requirements.txt")
pytest.importorskip("sacrebleu", reason="benchmarks/translation/requirements.txt")

from benchmarks.translation import descriptions, judge, prepare, train  # noqa: E402
from benchmarks.translation.sentences import Corpus  # noqa: E402
from tests.benchmarks.translation import made_text  # noqa: E402

pytestmark = pytest.mark.torch

SMALL = train.Config(
    *("un", 0), epochs=1, dim=16, hidden_dim=16, depth=1, num_heads=2, words=60, warmup_fraction=0.5
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    found = descriptions.pairs(*made_text.files(80))
    about = prepare.prepare(found, folder, pieces=60, test_pairs=8)
    assert about["test"]["pairs"] == 8 and about["train"]["pairs"] > 140
    assert about["written"].keys() == {"pieces.model", "test.json"}
    return folder


def test_the_pieces_say_the_text_again(data: Path) -> None:
    processor = judge_processor(data)
    test = Corpus.load(data / "test.npz")
    texts = [processor.decode(sentence) for sentence in test.english]
    assert texts == [p["english"] for p in json.loads((data / "test.json").read_text())]
    assert [processor.pad_id(), processor.eos_id(), processor.unk_id()] == [1, 2, 3]


def test_folded_parts_translate_as_pytorch_does(data: Path, monkeypatch) -> None:
    monkeypatch.setattr(judge, "LONGEST", 12)
    torch.manual_seed(0)
    training = train.Training(
        replace(SMALL, epochs=3), *(Corpus.load(data / f"{n}.npz") for n in ("train", "test")), data
    )
    training.run()
    found = judge.judge(training.network.eval(), "un", data)
    assert found["folded"]["norms"] == {"encoder": 3, "first": 4, "step": 4}
    assert found["folded"]["differ_beyond_margin"] == 0
    assert found["folded"]["same"] >= 7 and len(found["translations"]) == 8
    assert found["folded"]["bleu"] == pytest.approx(found["bleu"], abs=1)
    assert "tok:13a" in found["signature"]


def test_of_dyt_the_encoder_s_last_scale_stays(data: Path, monkeypatch) -> None:
    monkeypatch.setattr(judge, "LONGEST", 6)
    network = train.network_of(replace(SMALL, norm="dyt")).eval()
    with torch.no_grad():
        network.encoder.layer_norm.weight.uniform_(0.5, 2)  # ones are nothing to keep
    found = judge.judge(network, "dyt", data)
    assert found["folded"]["norms"] == {"encoder": 2, "first": 4, "step": 4}
    assert found["folded"]["differ_beyond_margin"] == 0


def test_other_translations_are_counted() -> None:
    one = {0: ([5, 6], 0.5), 1: ([7], 1e-6), 2: ([8], 0.5)}
    two = {0: ([5, 6], 0.5), 1: ([9], 1e-6), 2: ([9], 0.5)}
    assert judge.compared(one, two) == {"same": 1, "differ_beyond_margin": 1}


def test_bleu_is_of_the_words() -> None:
    reference = ["the cat sat on the mat today"]
    assert judge.bleu(reference, reference)["bleu"] == pytest.approx(100)
    assert judge.bleu(["no word in common here at all"], reference)["bleu"] < 10


def judge_processor(data: Path):
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(data / "pieces.model"))
