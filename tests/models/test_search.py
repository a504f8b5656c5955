"""The search over a decoder in parts, against chains whose best sentences are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.search import beam_search

END = 0


class Chain:
    """A decoder whose next word depends on the last one, and which remembers its rows' words."""

    def __init__(self, words: int, seed: int) -> None:
        logits = np.random.default_rng(seed).standard_normal((words, words)) * 2
        self.chances = np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))

    def first(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert set(feeds) == {"target_ids", "source_mask", "encoder_out"}
        return self._answer(feeds["target_ids"], feeds["target_ids"], feeds["source_mask"])

    def step(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert set(feeds) == {"target_ids", "source_mask", "past_words", "past_source"}
        assert feeds["target_ids"].shape[1] == 1
        np.testing.assert_array_equal(feeds["source_mask"], feeds["past_source"])
        words = np.concatenate([feeds["past_words"], feeds["target_ids"]], 1)
        answer = self._answer(feeds["target_ids"], words, feeds["source_mask"])
        del answer["present_source"]  # as of a cross-attention, which stays
        # What the past holds must be the beam's own words, or the answer is wrong.
        return answer | {"logits": self.chances[words[:, -1:]]}

    def _answer(
        self, ids: np.ndarray, words: np.ndarray, source: np.ndarray
    ) -> dict[str, np.ndarray]:
        return {"logits": self.chances[ids], "present_words": words, "present_source": source}

    def score(self, start: int, tokens: tuple[int, ...]) -> float:
        return sum(self.chances[a, b] for a, b in itertools.pairwise((start, *tokens)))

    def sentences(self, length: int) -> list[tuple[int, ...]]:
        """Every one that ends with END, or is as long as may be."""
        words = range(len(self.chances))
        return [
            s
            for n in range(1, length + 1)
            for s in itertools.product(words, repeat=n)
            if END not in s[:-1] and (s[-1] == END or n == length)
        ]

    def search(self, start: list[int], **given: object):
        rows = len(start)
        inputs = {"source_mask": np.arange(rows)[:, None], "encoder_out": np.zeros((rows, 1))}
        return beam_search(
            self.first, self.step, np.array(start)[:, None], inputs,
            end=END, keep=("source_mask",), **given,
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_one_beam_takes_the_most_probable_word_each_time(seed: int) -> None:
    chain = Chain(5, seed)
    found = chain.search([1, 2, 3], beams=1, length=6)
    for start, (tokens,) in zip([1, 2, 3], found.tokens, strict=True):
        last = start
        for token in tokens:
            assert token == (END if last == END else chain.chances[last].argmax())
            last = token


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(5))
def test_with_all_beams_it_is_the_best_of_all_sentences(seed: int, penalty: float) -> None:
    """So many beams that none is dropped: the start has 3 words, then there are 7 beams at most."""
    chain = Chain(3, seed)
    found = chain.search([1, 2], beams=3, length=2, penalty=penalty)
    for start, tokens, scores in zip([1, 2], found.tokens, found.scores, strict=True):
        every = [(chain.score(start, s) / len(s) ** penalty, s) for s in chain.sentences(2)]
        by_chance = sorted(every, key=lambda one: -one[0] * len(one[1]) ** penalty)[:3]
        wanted = sorted(by_chance, reverse=True)
        np.testing.assert_allclose(scores, [score for score, _ in wanted], rtol=1e-12)
        for got, (_, sentence) in zip(tokens, wanted, strict=True):
            assert tuple(got[: len(sentence)]) == sentence
            assert (got[len(sentence) :] == END).all()


def test_rows_are_searched_apart() -> None:
    chain = Chain(6, 0)
    together = chain.search([1, 2, 3, 4], beams=3, length=8)
    for row, start in enumerate([1, 2, 3, 4]):
        alone = chain.search([start], beams=3, length=8)
        width = alone.tokens.shape[2]
        np.testing.assert_array_equal(together.tokens[row, :, :width], alone.tokens[0])
        np.testing.assert_allclose(together.scores[row], alone.scores[0], rtol=1e-12)
        np.testing.assert_allclose(together.margins[row], alone.margins[0], rtol=1e-12)


def test_within_its_margin_nothing_changes_and_beyond_it_something_may() -> None:
    """Greedy: the margin is the smallest distance of the best word to the second."""
    chain = Chain(5, 3)
    found = chain.search([1], beams=1, length=6)
    gaps, last = [], 1
    for token in found.tokens[0, 0]:
        two = np.sort(chain.chances[last])[-2:]
        gaps.append(two[1] - two[0])
        last = token
        if token == END:
            break
    assert found.margins[0] == pytest.approx(min(gaps))
    noise = np.random.default_rng(0).uniform(-1, 1, chain.chances.shape)
    chain.chances += 0.49 * min(gaps) * noise
    np.testing.assert_array_equal(chain.search([1], beams=1, length=6).tokens, found.tokens)


@pytest.mark.parametrize("wrong", [{"beams": 0}, {"length": 0}, {"beams": 6}])
def test_what_cannot_be_searched_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="beam"):
        Chain(5, 0).search([1], **wrong)
