"""BLEU of a trained network's translations, by PyTorch and by its folded graphs.

    python -m benchmarks.translation.judge NORM WEIGHTS DATA FOLDER

Translates the test's German with 4 beams over the three parts in PyTorch; where the norm folds,
over the folded graphs in ONNX Runtime too, and counts the sentences that differ: beyond PyTorch's
own margin, the smallest difference of scores that decided, none may. Writes the outcome, with all
translations, to FOLDER, under the weights' name. Needs benchmarks/translation/requirements.txt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import torch

from benchmarks.beam_search import MARGIN, folded, in_pytorch
from benchmarks.translation.sentences import Corpus, in_order_of_length
from benchmarks.translation.train import Config, network_of
from models import nmt
from models.fashion_mnist.train import environment, write_atomically
from models.norms import NORMS
from models.search import Part, beam_search

BEAMS, LONGEST = 4, 100
FOLDS: dict[str, Literal["all", 0]] = {"un": "all", "dyt": 0}
"""Norms whose parts are folded, and how many must be: of LN nothing folds, and the last scale and
shift of DyT's encoder stand behind its tanh and in front of an output."""

Found = dict[int, tuple[list[int], float]]
"""Of every sentence by its place: the pieces of the best beam, and the margin."""


def translate(parts: Mapping[str, Part], test: Corpus) -> Found:
    """The best of each German sentence."""
    found: Found = {}
    for group in in_order_of_length(test):
        batch = test.batch(group)
        source = {name: batch[name].numpy() for name in ("source_ids", "source_mask")}
        given = {"source_mask": source["source_mask"], **parts["encoder"](source)}
        start = np.full((len(group), 1), nmt.END)
        best = beam_search(
            *(parts["first"], parts["step"], start, given),
            end=nmt.END,
            beams=BEAMS,
            length=LONGEST,
            keep=("source_mask",),
        )
        for place, tokens, margin in zip(group, best.tokens[:, 0], best.margins, strict=True):
            ends = np.flatnonzero(tokens == nmt.END)
            found[place] = tokens[: ends[0] if len(ends) else None].tolist(), float(margin)
    return found


def compared(one: Found, two: Found) -> dict[str, int]:
    """How many translations are the same, and how many differ though the margin is wide."""
    differ = [place for place, (pieces, _) in one.items() if two[place][0] != pieces]
    return {
        "same": len(one) - len(differ),
        "differ_beyond_margin": sum(one[place][1] >= MARGIN for place in differ),
    }


def bleu(translations: list[str], references: list[str]) -> dict[str, Any]:
    """sacrebleu's, with its signature."""
    from sacrebleu.metrics import BLEU

    metric = BLEU()
    score = metric.corpus_score(translations, [references])
    return {"bleu": score.score, "signature": str(metric.get_signature())}


def judge(network: nmt.Translation, norm: str, data: Path) -> dict[str, Any]:
    """BLEU of both, and in how many sentences they differ."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(data / "pieces.model"))
    test = Corpus.load(data / "test.npz")
    references = [p["english"] for p in json.loads((data / "test.json").read_text())]

    def texts(found: Found) -> list[str]:
        pieces = [found[place][0] for place in range(len(test))]
        return [processor.decode(sentence) for sentence in pieces]

    wanted = translate(in_pytorch(network), test)
    result: dict[str, Any] = {**bleu(texts(wanted), references), "sentences": len(test)}
    if norm in FOLDS:
        parts, norms = folded(network, FOLDS[norm])
        got = translate(parts, test)
        result["folded"] = {
            "norms": norms,
            "bleu": bleu(texts(got), references)["bleu"],
            **compared(wanted, got),
        }
    return {**result, "translations": texts(wanted)}


@click.command()
@click.argument("norm", type=click.Choice([*NORMS]))
@click.argument("weights", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def main(norm: str, weights: Path, data: Path, folder: Path) -> None:
    """Judge one network."""
    torch.set_num_threads(1)
    network = network_of(Config(norm, 0))
    network.load_state_dict(torch.load(weights, weights_only=True))
    found = judge(network.eval(), norm, data)
    line = json.dumps({"event": "end", "norm": norm, **found, "environment": environment()})
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{weights.stem}.jsonl"
    write_atomically(log, lambda path: path.write_text(line + "\n", encoding="utf-8"))
    click.echo(json.dumps({name: v for name, v in found.items() if name != "translations"}))


if __name__ == "__main__":
    main()
