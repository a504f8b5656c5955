"""How fast is a converted network, folded, beside its LayerNorm original? In ONNX Runtime.

    python -m benchmarks.conversion_speed [--minilm FOLDER]

vit_micro with the LayerNorms that `choose` kept for seed 0 (results/conversion.json), and with none
kept; of FOLDER, all-MiniLM-L6-v2 as in benchmarks.conversion_minilm, the six norms behind attention
gone, and all 13. Each is converted anew by `calibrate`, without the refits and the training, which
change numbers and no operator. Then it is exported, folded and proven, and goes through `un-deploy
compare` on one thread: 98 % intervals over builds, and the A/A control beside them
(docs/how-we-compare.md). Writes benchmarks/results/conversion_speed.json, and the page beside it.
"""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from torch import nn

from benchmarks import conversion, conversion_minilm, entries, recipes_on_cpu
from models.fashion_mnist import data as files
from models.fashion_mnist.train import Dataset
from models.vit import vit_micro
from un_deploy.conversion import calibrate, save_converted
from un_deploy.conversion.batches import Batches, Padding
from un_deploy.nn import load_checkpoint, load_pretrained
from un_deploy.pipeline.compare.compare import compare
from un_deploy.pipeline.export.export import export
from un_deploy.pipeline.export.forward import Axes

RESULT = Path(__file__).parent / "results" / "conversion_speed.json"


@dataclass
class Network:
    """A LayerNorm network, what to calibrate it with, and the conversions of it.

    Attributes:
        spec: as export takes it.
        original: the module that the spec gives.
        run: what the data is for: the module itself, or one around it.
        data: batches.
        gone: of each conversion its title, and the patterns of the norms that go.
        checkpoint: with the LayerNorms; None: the spec has its weights.
        sizes: of the dimensions left open.
        axes: of them those beside the batch, as `export` takes them.
        padding: see `calibrate`.
    """

    spec: str
    original: nn.Module
    run: nn.Module
    data: Batches
    gone: dict[str, list[str] | None]
    checkpoint: Path | None
    sizes: dict[str, int]
    axes: Axes | None = None
    padding: Padding | None = None


def vit() -> Network:
    original = vit_micro()
    load_checkpoint(original, conversion.CHECKPOINT)
    fits = conversion.draw(Dataset.load("train", files.DEBIAN_DIRECTORY), 0)[0]
    kept = entries.read(conversion.RESULT)[0]["without_training"]["chosen"]["kept"]
    norms = [name for name, module in original.named_modules() if type(module) is nn.LayerNorm]
    gone = {"chosen": [name for name in norms if name not in kept], "all": None}
    data = fits.pixel_values.split(256)
    spec = "models/vit.py:vit_micro"
    return Network(spec, original, original, data, gone, conversion.CHECKPOINT, {"batch": 8})


def minilm(folder: Path) -> Network:
    from transformers import AutoTokenizer

    original = load_pretrained(folder)
    texts = random.Random(0).sample(conversion_minilm.lines()[0], conversion_minilm.LINES[0])
    data = conversion_minilm.batches(AutoTokenizer.from_pretrained(folder), texts)
    return Network(
        str(folder),
        original,
        conversion_minilm.Sentences(original),
        data,
        {"attention": [conversion_minilm.ATTENTION], "all": None},
        None,
        {"batch": 1, "sequence": 32},
        {name: {1: "sequence"} for name in ("input_ids", "attention_mask")},
        conversion_minilm.padding,
    )


def measured(network: Network, title: str, builds: int, rounds: int) -> dict[str, Any]:
    """Convert, export, fold, prove and time; what is kept of it."""
    whole = nn.ModuleDict({"run": network.run, "original": network.original})
    trial = deepcopy(whole)  # one of the two may be in the other
    done = calibrate(trial["run"], network.data, only=network.gone[title], padding=network.padding)
    with TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "un.pt"
        save_converted(trial["original"], checkpoint, network.original)
        exported = export(
            network.spec,
            Path(folder) / "un.onnx",
            checkpoint=checkpoint,
            dynamic_axes=network.axes,
        )
        assert exported.fold is not None and exported.verification is not None
        report = compare(
            network.spec,
            checkpoints={"un": checkpoint}
            | ({"ln": network.checkpoint} if network.checkpoint else {}),
            backend="ort-cpu",
            builds=builds,
            rounds=rounds,
            threads=1,
            dims=network.sizes,
            dynamic_axes=network.axes,
        )
    return recipes_on_cpu.entry(Path(network.spec).name, ("ln", "un"), report) | {
        "what": title,
        "gone": len(done.converted),
        "folded": len(exported.fold.folded),
        "stay": [norm.label for norm in exported.fold.measuring],
        "verdict": exported.verification.verdict,
    }


def page(found: list[dict[str, Any]]) -> str:
    lines = [
        "# What a conversion saves in ONNX Runtime",
        "",
        "By `python -m benchmarks.conversion_speed`, whose docstring says how.",
        "",
    ]
    for one in found:
        sizes = ", ".join(f"{name} {shape}" for name, shape in one["inputs"].items())
        lines += [
            f"## {one['model']}, {one['what']}",
            f"{one['folded']} of {one['gone']} converted norms folded and {one['verdict']}, "
            f"{len(one['stay'])} LayerNorms stay. {one['runtime']}, {one['threads']} thread, on "
            f"{one['environment']['cpu']}; {sizes}.",
            "",
            *recipes_on_cpu.ratios(one),
            "",
            *(f"{note[0].upper()}{note[1:]}.\n" for note in one["notes"] if "stays" in note),
        ]
    return "\n".join(lines)


@click.command(help=__doc__.splitlines()[0])
@click.option("--minilm", "folder", type=click.Path(path_type=Path, exists=True))
@click.option("--builds", default=5, show_default=True)
@click.option("--rounds", default=20, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), default=RESULT)
def main(folder: Path | None, builds: int, rounds: int, output: Path) -> None:
    networks = [vit(), *([minilm(folder)] if folder else [])]
    order = [("vit.py:vit_micro", "chosen"), ("vit.py:vit_micro", "all")]
    order += [("model", "attention"), ("model", "all")]
    for network in networks:
        for title in network.gone:
            entry = measured(network, title, builds, rounds)
            entries.write(output, entry, ("model", "what"), order)
            click.echo(page([entry]))
    output.with_suffix(".md").write_text(page(entries.read(output)), encoding="utf-8")


if __name__ == "__main__":
    main()
