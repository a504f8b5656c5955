"""Sentence pairs out of Debian's package descriptions, split so that no source package is in both.

A description is a line and paragraphs; where both languages have as many, they are paired. The text
is full of templates ("development files for ..."), so what is measured on it compares norms and is
no published BLEU. How much of the test stands in the training text is counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

WORDS = (2, 25)
"""The fewest and the most words of either side."""

RATIO = 2.0
"""The most words of one side over those of the other."""

TEST_SHARE = 0.06
"""Of source packages, by their hash."""

GRAM = 8


@dataclass(frozen=True)
class Pair:
    """German and English, and the source package that the description is of."""

    german: str
    english: str
    package: str


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """The entries of a Debian control file, fields by name, lines of a field by newlines."""
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith((" ", "\t")) and name:
                fields[name] += "\n" + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if fields:
            yield fields


def paragraphs(description: str) -> list[str]:
    """The first line and every paragraph, each in one line; a line with a dot parts them."""
    first, *lines = description.split("\n")
    found: list[list[str]] = [[first], []]
    for line in lines:
        if line == ".":
            found.append([])
        else:
            found[-1].append(line)
    joined = (" ".join(" ".join(paragraph).split()) for paragraph in found)
    return [paragraph for paragraph in joined if paragraph]


def pairs(packages: str, german: str, english: str) -> list[Pair]:
    """All usable pairs, each German text once, in the order of the German file.

    Args:
        packages, german, english: the texts of apt's Packages, Translation-de and Translation-en.
    """
    sources = {}
    for entry in stanzas(packages):
        sources[entry["Package"]] = entry.get("Source", entry["Package"]).split()[0]
    originals = {e["Description-md5"]: e["Description-en"] for e in stanzas(english)}
    found: dict[str, Pair] = {}
    for entry in stanzas(german):
        source = sources.get(entry["Package"])
        original = originals.get(entry["Description-md5"])
        if source is None or original is None:
            continue
        both = paragraphs(entry["Description-de"]), paragraphs(original)
        if len(both[0]) == len(both[1]):
            for one, two in zip(*both, strict=True):
                if one not in found and usable(one, two):
                    found[one] = Pair(one, two, source)
    return list(found.values())


def usable(german: str, english: str) -> bool:
    """Whether a pair is of two languages, neither too long nor too unequal."""
    counts = sorted(len(text.split()) for text in (german, english))
    fits = WORDS[0] <= counts[0] and counts[1] <= min(WORDS[1], RATIO * counts[0])
    return fits and german != english


def split(every: Iterable[Pair], share: float = TEST_SHARE) -> tuple[list[Pair], list[Pair]]:
    """Training and test; a source package is in one of them.

    Test pairs of which a text, of either language, stands in the training are dropped.
    """
    train, test = [], []
    for pair in every:
        (test if _hash(pair.package) < share else train).append(pair)
    known = {text for pair in train for text in (pair.german, pair.english)}
    test = [pair for pair in test if not {pair.german, pair.english} & known]
    return train, test


def overlap(train: Iterable[str], test: Iterable[str]) -> float:
    """The share of the test's 8-grams of words that stand in the training text; 0 of none."""
    known = {gram for text in train for gram in _grams(text)}
    asked = [gram for text in test for gram in _grams(text)]
    return sum(gram in known for gram in asked) / max(1, len(asked))


def digests(texts: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each."""
    return {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}


def _grams(text: str) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)]


def _hash(package: str) -> float:
    """A number from 0 to 1 that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(package.encode()).digest()[:8], "big") / 2**64
