"""Pairs out of made files: what is paired, dropped, and kept apart."""

from __future__ import annotations

import pytest

from benchmarks.translation import descriptions
from benchmarks.translation.descriptions import Pair
from tests.benchmarks.translation import made_text


def test_lines_and_paragraphs_are_paired() -> None:
    found = descriptions.pairs(*made_text.files())
    assert len(found) == 60 * 3
    assert found[:3] == [
        Pair("Ein rotes Haus Nummer 0", "A red house number 0", "source-0"),
        Pair("Hier steht ein rotes Haus von 0.", "Here stands a red house of 0.", "source-0"),
        Pair("Gruss 0 Ende", "Greeting 0 end", "source-0"),
    ]
    assert found[-1].package == "source-29"


def test_other_numbers_of_paragraphs_are_not_paired() -> None:
    packages, german, english = made_text.files()
    english = english.replace(" .\n Greeting 0 end", " Greeting 0 end")
    found = descriptions.pairs(packages, german, english)
    assert len(found) == 59 * 3 and found[0].package == "source-0" and " 1" in found[0].german


def test_a_german_text_is_taken_once() -> None:
    packages, german, english = made_text.files()
    german = german.replace("Ein blaues Buch Nummer 1\n", "Ein rotes Haus Nummer 0\n")
    found = descriptions.pairs(packages, german, english)
    assert len(found) == 60 * 3 - 1
    assert [p.english for p in found if p.german == "Ein rotes Haus Nummer 0"] == [
        "A red house number 0"
    ]


def test_a_package_without_a_source_is_left_out() -> None:
    packages, german, english = made_text.files()
    packages = packages.replace("Package: made-3\n", "Package: other\n")
    assert len(descriptions.pairs(packages, german, english)) == 59 * 3


@pytest.mark.parametrize(
    ("german", "english", "fits"),
    [
        ("ein Wort", "one word", True),
        ("Wort", "one word", False),
        ("gleich und gleich", "gleich und gleich", False),
        ("a b c d", "e f", True),
        ("a b c d e", "f g", False),
        ("a " * 25, "b " * 25, True),
        ("a " * 26, "b " * 25, False),
    ],
)
def test_what_is_usable(german: str, english: str, fits: bool) -> None:
    assert descriptions.usable(german, english) is fits


def test_a_source_package_is_in_one_part_and_no_text_in_both() -> None:
    found = descriptions.pairs(*made_text.files())
    train, test = descriptions.split(found, share=0.3)
    assert {p.package for p in train} & {p.package for p in test} == set()
    assert len(train) + len(test) == 180 and 20 <= len(test) <= 100
    copied = Pair(test[0].german, "another text", train[0].package)
    of_english = Pair("ein anderer Text", test[1].english, train[0].package)
    _, fewer = descriptions.split([*found, copied, of_english], share=0.3)
    assert fewer == test[2:]


def test_the_overlap_is_the_share_of_eight_words_in_a_row() -> None:
    known = "a b c d e f g h i"
    assert descriptions.overlap([known], [known]) == 1
    assert descriptions.overlap([known], ["x a b c d e f g h", "a b c d e f g"]) == 0.5
    assert descriptions.overlap([known], ["too short"]) == 0


def test_a_digest_is_sha_256() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert descriptions.digests({"a": b""}) == {"a": empty}
