"""Fetches Debian's descriptions, learns the pieces, and writes what a training reads.

    python -m benchmarks.translation.prepare --out FOLDER [--unpinned]

Needs apt-get, and benchmarks/translation/requirements.txt. apt fetches the files of `SUITE` into
FOLDER/apt, with a configuration of its own: nothing of the system's is read or changed but the
archive's keyring, by which it checks them. Files of another SHA-256 than `PINNED` are refused;
--unpinned takes them, and says so in about.json.
"""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.translation import descriptions
from benchmarks.translation.descriptions import Pair
from models import nmt

MIRROR, SUITE = "http://deb.debian.org/debian", "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PINNED = {
    "Packages": "515e692f2c4121c6fcec444ef100cc18f79a991910615f3a88c8b7becfc94d2f",
    "Translation-de": "adac331fc51f9a00c1b4120b4ac87423be2b1f1615d4f288c7cbc2d5258c0650",
    "Translation-en": "62f59c3cdca9786e4f7adf9002f9f5729a684adcb4667e58e448dec9b5a46c7f",
}
PIECES = 4000
TEST_PAIRS = 1000


def fetch(folder: Path) -> dict[str, bytes]:
    """The three files, by the names of `PINNED`; those of an earlier call where they are there."""
    lists = folder / "lists"
    if not [*lists.glob("*Translation-de")]:
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        sources = folder / "sources.list"
        sources.write_text(f"deb [signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
        settings = {
            "Dir::State::lists": lists,
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "-",
            "Dir::Cache": folder,
            "Acquire::Languages": "en,de",
            "Acquire::GzipIndexes": "false",
            "APT::Architecture": "amd64",
        }
        options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        subprocess.run(["apt-get", *options, "update"], check=True)
    return {name: next(lists.glob(f"*_{name}")).read_bytes() for name in PINNED}


def learn_pieces(texts: list[str], pieces: int) -> bytes:
    """A sentencepiece model of both languages, with fairseq's ids of padding and end."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=pieces,
        model_type="unigram",
        bos_id=0,
        pad_id=nmt.PADDING,
        eos_id=nmt.END,
        unk_id=3,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def prepare(found: list[Pair], out: Path, pieces: int, test_pairs: int) -> dict[str, Any]:
    """Write pieces.model, train.npz, test.npz and test.json, and give what is told of them."""
    import sentencepiece

    train, test = descriptions.split(found)
    test = test[:: max(1, len(test) // test_pairs)][:test_pairs]
    model = learn_pieces([text for p in train for text in (p.german, p.english)], pieces)
    (out / "pieces.model").write_bytes(model)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    counts = {}
    for name, part in (("train", train), ("test", test)):
        german = processor.encode([p.german for p in part])
        english = processor.encode([p.english for p in part])
        counts[name] = {
            "pairs": len(part),
            "source_packages": len({p.package for p in part}),
            "german_pieces": sum(map(len, german)),
            "english_pieces": sum(map(len, english)),
        }
        np.savez_compressed(
            out / f"{name}.npz", **_flat("german", german), **_flat("english", english)
        )
    references = [{"german": p.german, "english": p.english, "package": p.package} for p in test]
    (out / "test.json").write_text(json.dumps(references, ensure_ascii=False, indent=0) + "\n")
    return {
        **counts,
        "pieces": pieces,
        "eight_grams_in_training": {
            side: descriptions.overlap(
                [getattr(p, side) for p in train], [getattr(p, side) for p in test]
            )
            for side in ("german", "english")
        },
        "written": descriptions.digests(
            {name: (out / name).read_bytes() for name in ("pieces.model", "test.json")}
        ),
    }


def _flat(name: str, sentences: list[list[int]]) -> dict[str, np.ndarray]:
    """Sentences in a row, and where each ends."""
    return {
        name: np.array([piece for sentence in sentences for piece in sentence], np.int16),
        f"{name}_ends": np.cumsum([len(sentence) for sentence in sentences]),
    }


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--unpinned", is_flag=True, help="Take files of another SHA-256 too.")
def main(out: Path, unpinned: bool) -> None:
    """Write what a training reads."""
    out.mkdir(parents=True, exist_ok=True)
    files = fetch((out / "apt").absolute())
    fetched = descriptions.digests(files)
    if fetched != PINNED and not unpinned:
        raise click.ClickException(f"{SUITE} has other files now, {fetched}; --unpinned takes them")
    found = descriptions.pairs(*(files[name].decode() for name in PINNED))
    about = {
        "suite": SUITE,
        "pinned": fetched == PINNED,
        "fetched": fetched,
        **prepare(found, out, PIECES, TEST_PAIRS),
    }
    (out / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    click.echo(json.dumps(about, indent=1))


if __name__ == "__main__":
    main()
