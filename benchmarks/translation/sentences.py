"""Pairs of sentences as ids of pieces, in batches of about as many tokens each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import nmt

BATCH_TOKENS = 2000
"""The most tokens of a batch, of both sides, padding counted."""

POOL = 2000
"""So many sentences in a row of the random order are sorted by length."""

Sentences = list[list[int]]
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Corpus:
    """Sentences of the two languages, ids of pieces without the end."""

    german: Sentences
    english: Sentences

    @classmethod
    def load(cls, path: Path) -> Corpus:
        """Read what `benchmarks.translation.prepare` wrote."""
        with np.load(path) as arrays:
            both = (
                np.split(arrays[name].astype(int), arrays[f"{name}_ends"][:-1])
                for name in ("german", "english")
            )
            return cls(*([sentence.tolist() for sentence in side] for side in both))

    def __len__(self) -> int:
        return len(self.german)

    def lengths(self) -> list[tuple[int, int]]:
        """Of each pair, the end counted in on both sides."""
        return [(len(a) + 1, len(b) + 1) for a, b in zip(self.german, self.english, strict=True)]

    def batch(self, places: Sequence[int]) -> Batch:
        """What a network is given, and wanted_ids, which it should say; each (pairs, tokens)."""
        source = padded([[*self.german[i], nmt.END] for i in places])
        return {
            "source_ids": source,
            "source_mask": (source != nmt.PADDING).long(),
            "target_ids": padded([[nmt.END, *self.english[i]] for i in places]),
            "wanted_ids": padded([[*self.english[i], nmt.END] for i in places]),
        }


def padded(sentences: Sentences) -> Tensor:
    """(sentences, the longest's tokens), int64, padding behind."""
    longest = max(map(len, sentences))
    return torch.tensor([s + [nmt.PADDING] * (longest - len(s)) for s in sentences])


def in_random_order(corpus: Corpus, generator: torch.Generator) -> Iterator[Batch]:
    """Every pair once, those of like length together, batches in random order."""
    lengths = corpus.lengths()
    groups = []
    for pool in torch.randperm(len(corpus), generator=generator).split(POOL):
        groups += groups_of(sorted(pool.tolist(), key=lambda i: lengths[i]), lengths)
    for place in torch.randperm(len(groups), generator=generator).tolist():
        yield corpus.batch(groups[place])


def in_order_of_length(corpus: Corpus) -> list[list[int]]:
    """Places of all pairs in groups of a batch's size, shortest first."""
    lengths = corpus.lengths()
    return groups_of(sorted(range(len(corpus)), key=lambda i: lengths[i]), lengths)


def groups_of(places: Sequence[int], lengths: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Cut a row of places where one more would make the batch larger than `BATCH_TOKENS`."""
    groups: list[list[int]] = []
    longest = (0, 0)
    for place in places:
        german, english = lengths[place]
        longer = (max(longest[0], german), max(longest[1], english))
        if groups and sum(longer) * (len(groups[-1]) + 1) <= BATCH_TOKENS:
            groups[-1].append(place)
            longest = longer
        else:
            groups.append([place])
            longest = (german, english)
    return groups
