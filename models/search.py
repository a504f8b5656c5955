"""Greedy and beam search over a decoder in two parts, on any runtime; needs nothing but numpy.

A part is a callable that takes arrays by name and returns arrays by name:

    sessions = {n: onnxruntime.InferenceSession(f"{n}.onnx") for n in ("first", "step")}

    def on_onnxruntime(session):
        names = [output.name for output in session.get_outputs()]
        return lambda feeds: dict(zip(names, session.run(None, feeds)))

    session.run                          # of un-deploy's runtimes, TensorRT engines among them

``first`` takes the first tokens and whatever `given` holds; ``step`` takes one more token, those of
`given` that `keep` names, and ``past_NAME`` for each ``present_NAME`` that the call before gave.
Both give ``logits`` (rows, tokens, words). Axis 0 of everything is the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

Arrays = Mapping[str, np.ndarray]
Part = Callable[[dict[str, np.ndarray]], Arrays]


class Found(NamedTuple):
    """What a search found, the best first.

    Attributes:
        tokens: (rows, beams, length), int64, behind the first tokens; ``end`` stands behind those
            that have ended.
        scores: (rows, beams), the log-probability over length ** penalty, the end counted in.
        margins: (rows,), the smallest difference of scores that decided about the best: between
            the last beam that was kept and the first that was not, and of the best to the second.
            Where rounding is larger, another runtime may find others.
    """

    tokens: np.ndarray
    scores: np.ndarray
    margins: np.ndarray


def beam_search(
    first: Part,
    step: Part,
    start: np.ndarray,
    given: Arrays,
    *,
    end: int,
    beams: int = 4,
    length: int = 200,
    penalty: float = 1.0,
    keep: Sequence[str] = (),
    ids: str = "target_ids",
) -> Found:
    """Search for the most probable continuations. One beam is a greedy search.

    A beam that has ended stays among the others with its log-probability. The search ends when all
    have.

    Args:
        first, step: see the file's head.
        start: (rows, tokens), int64, the first tokens.
        given: the other inputs of ``first``.
        end: the token with which a sentence ends.
        beams: kept for each row, at most the number of words.
        length: the most tokens behind the first ones.
        penalty: the power of the length by which log-probabilities are divided at the end.
        keep: names of `given` that ``step`` takes too.
        ids: name of the tokens' input.

    Raises:
        ValueError: no beam, more than there are words, or no length.
    """
    if beams < 1 or length < 1:
        raise ValueError(f"a search needs at least one beam and one token: {beams}, {length}")
    rows = len(start)
    outputs = first({ids: start, **given})
    chances = log_softmax(outputs["logits"][:, -1])
    if beams > chances.shape[1]:
        raise ValueError(f"{beams} beams, but {chances.shape[1]} words")
    scores, token, margins = best(chances, beams)
    tokens, ended, lengths = token[..., None], token == end, np.ones((rows, beams))
    repeated = np.repeat(np.arange(rows), beams)
    kept = {name: given[name][repeated] for name in keep}
    past = {name: array[repeated] for name, array in of_past(outputs).items()}
    while not ended.all() and tokens.shape[2] < length:
        outputs = step({ids: token.reshape(-1, 1), **kept, **past})
        chances = log_softmax(outputs["logits"][:, -1]).reshape(rows, beams, -1)
        words = chances.shape[2]
        chances[ended] = -np.inf
        chances[ended, end] = 0
        totals = (scores[..., None] + chances).reshape(rows, -1)
        scores, place, margin = best(totals, beams)
        margins = np.where(ended.all(1), margins, np.minimum(margins, margin))
        beam, token = np.divmod(place, words)
        tokens = np.take_along_axis(tokens, beam[..., None], 1)
        tokens = np.concatenate([tokens, token[..., None]], 2)
        was = np.take_along_axis(ended, beam, 1)
        lengths = np.take_along_axis(lengths, beam, 1) + ~was
        ended = was | (token == end)
        from_ = (np.arange(rows)[:, None] * beams + beam).ravel()
        past = {name: array[from_] for name, array in {**past, **of_past(outputs)}.items()}
    scores = scores / lengths**penalty
    order = np.argsort(-scores, axis=1, kind="stable")
    scores = np.take_along_axis(scores, order, 1)
    if beams > 1:
        margins = np.minimum(margins, scores[:, 0] - scores[:, 1])
    return Found(np.take_along_axis(tokens, order[..., None], 1), scores, margins)


def of_past(outputs: Arrays) -> dict[str, np.ndarray]:
    """Each ``present_NAME`` as the ``past_NAME`` of the next call."""
    return {
        f"past_{name.removeprefix('present_')}": array
        for name, array in outputs.items()
        if name.startswith("present_")
    }


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def best(scores: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The highest of each row in order, their places, and by how much the last beats the next."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, : count + 1]
    found = np.take_along_axis(scores, order, 1)
    full = found.shape[1] > count
    margins = found[:, -2] - found[:, -1] if full else np.full(len(scores), np.inf)
    return found[:, :count], order[:, :count], margins
