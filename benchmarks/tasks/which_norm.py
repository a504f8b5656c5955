"""The figures of docs/which-norm.md, each from a result file; what is not there is told so.

    python -m benchmarks.tasks.which_norm

Writes the parts between the page's markers anew and leaves the words around them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import click

from benchmarks import entries
from benchmarks.tasks import scores
from benchmarks.tasks.jobs import WHY_ALPHA, WHY_NORMS, WHY_SEEDS
from benchmarks.tasks.verdicts import Difference, Runs, difference, each_pair
from benchmarks.tasks.wording import (
    UNKNOWN,
    extremes,
    interval,
    mean_of,
    ratio,
    sd_of,
    shown,
    shown_change,
)
from un_deploy.files import atomic_write_text

PAGE = Path(__file__).parents[2] / "docs" / "which-norm.md"
PART = re.compile(r"<!-- written: (.+?) -->\n.*?<!-- end -->", re.DOTALL)
TITLES = {"ln": "LN", "bn": "BN", "un-scaled": "UN", "un": "UN", "dyt": "DyT", "derf": "Derf"}
ON_IMAGES = ("ln", "bn", "un-scaled", "dyt", "derf")
ON_TEXT = ("ln", "un", "dyt")
POINTS, BLEU = 0.3, 0.5
"""How far below 0 an interval may reach of a norm that is called as good."""

STEPS_AN_EPOCH = 469


def accuracy() -> list[str]:
    """Of vit_micro on Fashion-MNIST."""
    return scores_and_pairs(
        {norm: scores.accuracy(norm) for norm in ON_IMAGES}, "test accuracy, %", POINTS, 5
    )


def translation() -> list[str]:
    """BLEU and loss on package descriptions, the outliers of one seed, and bfloat16."""
    found = scores_and_pairs({norm: scores.bleu(norm) for norm in ON_TEXT}, "BLEU", BLEU, 3)
    rows = []
    for norm in ON_TEXT:
        losses = scores.translation_loss(norm)
        changes = [
            shown_change(of(norm, setting="_outliers").get(0), of(norm).get(0))
            for of in (scores.bleu, scores.translation_loss)
        ]
        half = _bfloat16().get(norm)
        near = f"{'yes' if half['finite'] else 'no'}, {100 * half['apart']:.2f} %" if half else ""
        rows.append([TITLES[norm], mean_of(losses, 3), *changes, near or UNKNOWN])
    head = [
        "norm",
        "loss, nats a token",
        "BLEU with outliers, change",
        "loss with outliers, change",
    ]
    return [*found, "", *entries.table([*head, "bfloat16: finite, apart"], rows)]


def _bfloat16() -> dict[str, Any]:
    log = scores.read(scores.RESULTS / "translation" / "bfloat16.jsonl")
    return dict(log[-1]["norms"]) if log else {}


def scores_and_pairs(runs: Mapping[str, Runs], title: str, margin: float, seeds: int) -> list[str]:
    """A table of the norms' scores, and one of every pair with what may be said of it."""
    one = [
        [TITLES[norm], str(len(found)), mean_of(found, 2), sd_of(found), extremes(found)]
        for norm, found in runs.items()
    ]
    pairs = []
    for (first, second), found in each_pair(runs).items():
        names = f"{TITLES[first]} - {TITLES[second]}"
        if found is None or found.low is None:
            pairs.append([names, str(found.seeds if found else 0), UNKNOWN, *[""] * 4])
        else:
            early = "" if found.seeds == seeds else f" (so far {found.seeds} of {seeds} seeds)"
            pairs.append(
                [
                    *(names, str(found.seeds), f"{found.mean:+.2f}", f"{found.sd:.2f}"),
                    interval(found),
                    found.verdict(margin) + early,
                    found.turned().verdict(margin) + early,
                ]
            )
    heads = (
        ["norm", "seeds", f"mean {title}", "SD", "lowest, highest"],
        ["first - second", "seeds", "mean", "SD", "95 % interval"],
    )
    asked = ["is the first as good?", "is the second as good?"]
    return [*entries.table(heads[0], one), "", *entries.table([*heads[1], *asked], pairs)]


def steps() -> list[str]:
    """How soon a norm reaches an accuracy."""
    rows = []
    for norm in ON_IMAGES:
        seeds = len(scores.accuracy(norm))
        epochs = [scores.epochs_to(norm, wanted) for wanted in (80, 85)]
        shown = [f"{e} ({e * STEPS_AN_EPOCH:,} steps)" if e else "not in 7" for e in epochs]
        rows.append([TITLES[norm], str(seeds), *(shown if seeds else [UNKNOWN, ""])])
    return entries.table(["norm", "seeds", "epochs to 80 %", "epochs to 85 %"], rows)


def alpha() -> list[str]:
    """DyT and Derf with alpha from another start, by seed, and what a block is given at first."""
    path = scores.RESULTS / "tasks" / "at_start.json"
    found = json.loads(path.read_text(encoding="utf-8"))["entries"] if path.is_file() else []
    given = {(one["norm"], one["alpha"]): [*one["sizes"].values()] for one in found}
    rows = []
    for norm, start in (("ln", None), *product(WHY_NORMS, (None, WHY_ALPHA))):
        setting = "" if start is None else f"_alpha{start:g}"
        runs = scores.accuracy(norm, setting=setting)
        sizes = given.get((norm, start))
        told = f"{min(sizes):.2f} to {max(sizes):.2f}" if sizes else UNKNOWN
        title = TITLES[norm] if norm == "ln" else f"{TITLES[norm]}, alpha {start or 0.5:g}"
        rows.append([title, told, *(shown(runs.get(seed)) for seed in WHY_SEEDS)])
    head = [f"test accuracy, %, seed {seed}" for seed in WHY_SEEDS]
    return entries.table(["norm", "rms behind each norm at the start", *head], rows)


def outliers() -> list[str]:
    """One token in 6,400 a thousand times too large, in every 50th step; and in every 10th."""
    rows = []
    for norm in ON_IMAGES:
        usual, hit = (scores.accuracy(norm, setting=s).get(0) for s in ("", "_outliers"))
        rows.append([TITLES[norm], shown(usual), shown(hit), shown_change(hit, usual)])
    usual = scores.short_trainings("un", False)
    short = []
    for rule, title in (("un", "UN as it was"), ("both-4-quarter", "UN as it is")):
        found = difference(scores.short_trainings(rule, True), usual)
        known = found is not None and found.low is not None
        told = (f"{found.mean:+.2f}", interval(found)) if known and found else (UNKNOWN, UNKNOWN)
        short.append([title, *told, str(found.seeds) if found else "0"])
    return [
        *entries.table(["seed 0", "accuracy, %", "with outliers, %", "change"], rows),
        "",
        *entries.table(["short trainings", "change, points", "95 % interval", "seeds"], short),
    ]


def left() -> list[str]:
    """Of a folded graph and of an engine."""
    path = scores.RESULTS / "tasks" / "left.json"
    found = json.loads(path.read_text(encoding="utf-8"))["entries"] if path.is_file() else []
    of = {(one["norm"], one["batch"]): one for one in found}
    rows = []
    for norm in ("none", "ln", "bn", "un", "dyt", "derf"):
        row = ["no norm" if norm == "none" else TITLES[norm]]
        known = [one for one in found if one["norm"] == norm]
        beyond = [f"{count} {name}" for name, count in known[0]["left"].items()] if known else []
        row.append((", ".join(beyond) or "nothing") if known else UNKNOWN)
        for batch, key, unit in _PLANNED:
            plans = of.get((norm, batch), {}).get("engines")
            both = [f"{plans[p][key] / unit:.4g}" for p in ("fp32", "fp16")] if plans else [UNKNOWN]
            row.append(" / ".join(both))
        rows.append(row)
    head = ["norm, folded", "operators that no norm lacks", "kernels, batch 1", "batch 2"]
    head += ["open batch", "MB written, batch 1", "batch 2"]
    return entries.table(head, rows)


_PLANNED = [
    *((batch, "kernels", 1) for batch in ("1", "2", "open")),
    *((batch, "bytes_written", 1e6) for batch in ("1", "2")),
]


def time() -> list[str]:
    """Ratios of times in ONNX Runtime and PyTorch on a CPU."""
    rows = []
    for path in sorted((scores.RESULTS / "compare").glob("*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        ratios = {(r["of"], r["to"]): r["interval"] for r in [*report["ratios"], report["control"]]}
        rows.append([path.stem.replace("_ort-cpu", ", ONNX Runtime").replace("_torch", ", torch")])
        rows[-1] += [ratio(ratios.get(two)) for two in _RATIOS]
    for entry in entries.read(scores.RESULTS / "recipes_on_cpu.json"):
        ratios = {(r["of"], r["to"]): r for r in entry["ratios"]}
        rows.append([f"{entry['model'].split(':')[1]}, ONNX Runtime"])
        rows[-1] += [ratio(ratios.get(two)) for two in _RATIOS]
    head = ["network", "LN over UN", "UN over no norm", "BN over UN", "DyT over UN", "Derf over UN"]
    return entries.table([*head, "A/A"], rows)


_RATIOS = (
    *(("ln", "folded"), ("folded", "none"), ("bn", "folded"), ("dyt", "folded")),
    *(("derf", "folded"), ("folded", "folded")),
)


def folded() -> list[str]:
    """What the folded graphs answered."""
    rows = []
    folder = scores.RESULTS / "fashion_mnist" / "folded"
    for norm in ("un-scaled", "dyt", "derf"):
        found = [*scores.folded(folder, f"vit_micro_{norm}_seed{{seed}}").values()]
        told = [str(sum(one["other_class"] for one in found)), _largest(found)] if found else []
        both = [mean_of(_of(found, key), 2, 100) for key in ("test_accuracy", "folded_accuracy")]
        rows.append([f"{TITLES[norm]}, images, %", *both, *(told or ["", ""])])
    folder = scores.RESULTS / "translation" / "judged"
    for norm in ("un", "dyt"):
        found = [*scores.folded(folder, f"nmt_{norm}_seed{{seed}}").values()]
        parts = [one["folded"] for one in found]
        other = sum(one["sentences"] - one["folded"]["same"] for one in found)
        beyond = sum(part["differ_beyond_margin"] for part in parts)
        both = [mean_of(_of(one, "bleu"), 2) for one in (found, parts)]
        told = [str(other), f"{beyond} beyond PyTorch's margin"] if found else ["", ""]
        rows.append([f"{TITLES[norm]}, translation, BLEU", *both, *told])
    return entries.table(["", "PyTorch", "folded", "other answers", "how far apart"], rows)


def _of(found: Iterable[Mapping[str, Any]], key: str) -> Runs:
    return dict(enumerate(one[key] for one in found))


def _largest(found: Iterable[Mapping[str, Any]]) -> str:
    return f"{max(one['largest_difference'] / one['largest_logit'] for one in found):.1e} of logits"


def networks() -> list[str]:
    """T2T-ViT and Swin, one seed each."""
    rows = []
    for network, title in (("t2t_vit_micro", "T2T-ViT"), ("swin_micro", "Swin")):
        logs = (
            scores.read(scores.RESULTS / "fashion_mnist" / f"{network}_{norm}_seed0.jsonl")
            for norm in ("ln", "un-scaled")
        )
        rows.append(
            [title, *(shown(100 * log[-1]["test_accuracy"] if log else None) for log in logs)]
        )
    return entries.table(["seed 0, test accuracy, %", "LN", "UN"], rows)


def where_un_stands() -> list[str]:
    """What the intervals say of UN, a line for each other norm."""
    lines = []
    for task, margin, un, others, of in (
        ("images", POINTS, "un-scaled", ON_IMAGES, scores.accuracy),
        ("translation", BLEU, "un", ON_TEXT, scores.bleu),
    ):
        for norm in others:
            if norm != un:
                found = difference(of(un), of(norm))
                lines.append(f"- {task}, UN beside {TITLES[norm]}: {told_of(found, margin)}")
    return lines


def told_of(found: Difference | None, margin: float) -> str:
    """A verdict in words."""
    if found is None or found.low is None:
        return f"{UNKNOWN}."
    verdict, other = found.verdict(margin), found.turned().verdict(margin)
    words = {
        "worse": "UN is worse",
        "as good": "UN is as good" + (", and the other is worse" if other == "worse" else ""),
        "not shown": "that UN is as good is not shown",
    }[verdict]
    return f"{words} ({found.mean:+.2f}, {interval(found)}, {found.seeds} seeds)."


def training_cost() -> list[str]:
    """Of a training step of the norm alone, over LayerNorm's."""
    rows = []
    for entry in entries.read(scores.RESULTS / "norm_training.json"):
        median = entry["median_s"]
        how = "compiled" if entry["compiled"] else "eager"
        rows.append([entry["shape"], how])
        rows[-1] += [
            f"{median[norm] / median['LayerNorm']:.2f}"
            for norm in ("UN robust", "BatchNorm over tokens")
        ]
    return entries.table(["shape", "", "UN over LN", "BN over LN"], rows)


PARTS: dict[str, Callable[[], list[str]]] = {
    "where UN stands": where_un_stands,
    "accuracy": accuracy,
    "steps": steps,
    "alpha": alpha,
    "outliers": outliers,
    "left": left,
    "time": time,
    "folded": folded,
    "training cost": training_cost,
    "translation": translation,
    "networks": networks,
}


def page(text: str) -> str:
    """The page with its parts written anew."""

    def part(found: re.Match[str]) -> str:
        return "\n".join([f"<!-- written: {found[1]} -->", *PARTS[found[1]](), "<!-- end -->"])

    return PART.sub(part, text)


@click.command()
def main() -> None:
    """Write the page."""
    atomic_write_text(PAGE, page(PAGE.read_text(encoding="utf-8")), force=True)


if __name__ == "__main__":
    main()
