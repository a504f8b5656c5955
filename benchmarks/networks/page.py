"""The results as docs/networks.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import entries
from benchmarks.networks.stays import why

Entry = Mapping[str, Any]
Cell = Mapping[str, Any]

#: Outputs that differ by more than this share of the largest are wrong.
WRONG = 1e-4
#: Of all cells, so many are to be exported and proven.
LEAST = 0.9


def faults(found: Sequence[Entry]) -> list[str]:
    """What is not as it should be, one line each."""
    cells = [(e["network"], mode, cell) for e in found for mode, cell in e["cells"].items()]
    lines = [f"{name}, {mode}: {fault}" for name, mode, cell in cells for fault in _of(name, cell)]
    proven = sum(cell["cause"] is None and cell["proven"] for *_, cell in cells)
    if proven < LEAST * len(cells):
        lines.append(f"{proven} of {len(cells)} cells are proven; {LEAST:.0%} are to be")
    return lines


def _of(network: str, cell: Cell) -> Iterator[str]:
    if "traceback" in cell:
        yield "a traceback"
    if cell["cause"] is not None:
        return
    if not cell["proven"]:
        yield f"not proven: {'; '.join(cell['problems'])}"
    for worst in (cell["to_original"], cell["to_pytorch"]):
        if not worst <= WRONG:
            yield f"differs by {worst:.1e}"
    for label in cell["unseen"]:
        yield f"{label} is neither folded nor told of"
    for site in cell["stayed"]:
        if why(network, site["label"]) is None:
            yield f"{site['label']} stays: {site['reason']}"


def page(found: Sequence[Entry], environment: Mapping[str, Any]) -> str:
    """The whole page."""
    cells = [cell for entry in found for cell in entry["cells"].values()]
    made = [cell for cell in cells if cell["cause"] is None]
    modes = list(found[0]["cells"])
    versions = ("transformers", "diffusers", "timm", "torch", "onnxruntime")
    told = ", ".join(f"{name} {environment.get(name, 'not installed')}" for name in versions)
    worst = max((max(cell["to_original"], cell["to_pytorch"]) for cell in made), default=0.0)
    lines = [
        "# Networks that fold",
        "",
        "`make networks` builds these networks from small configurations, downloads nothing,",
        "converts their LayerNorms to Unified Normalization with the statistics of a trained",
        "network, exports, folds (with `--fold-norm-affine`) and proves each in four ways, and",
        "runs it in ONNX Runtime. It writes this page. Here with " + told + ".",
        "",
        f"{len(found)} networks, {len(cells)} cells: {len(made)} exported, "
        f"{sum(cell['proven'] for cell in made)} proven, "
        f"{sum(cell['folded'] for cell in made)} of {sum(cell['norms'] for cell in made)} norms "
        f"folded. Outputs differ from PyTorch's, and from those before the fold, by {worst:.0e} of "
        "the largest at most.",
        "",
        "A cell says how many of the converted norms folded. A dynamic export leaves the batch",
        "open, and the length of a text. *Others* are norms that were not converted, such as",
        "BatchNorms, the weights of RMSNorms, and other scales and shifts that went too. *More*",
        "are operators beyond those of the same network exported without norms, most of them the",
        "bias of a linear operator that had none.",
        "",
        *entries.table(
            ["network", *modes, "others", "stay", "more", "difference"],
            (_row(entry, modes) for entry in found),
        ),
        "",
        "## What stays",
        "",
        "How many stay of a network, in the mode where most do; the list is closed",
        "(benchmarks/networks/stays.py).",
        "",
        *_stays(found),
        "",
        "## What was not exported",
        "",
        *_causes(found),
    ]
    return "\n".join(lines) + "\n"


def _row(entry: Entry, modes: Sequence[str]) -> list[str]:
    cells = entry["cells"]
    made = [cell for cell in cells.values() if cell["cause"] is None]
    difference = [max(cell["to_original"], cell["to_pytorch"]) for cell in made]
    return [
        entry["network"],
        *(_told(cells[mode]) for mode in modes),
        _span(cell["others_folded"] for cell in made),
        _span(len(cell["stayed"]) for cell in made),
        _span(sum(cell["more"].values()) for cell in made),
        f"{max(difference):.0e}" if difference else "",
    ]


def _told(cell: Cell) -> str:
    if cell["cause"] is not None:
        return "not exported"
    folded = f"{cell['folded']} of {cell['norms']}"
    return folded if cell["proven"] else f"{folded}, not proven"


def _span(counts: Iterator[int]) -> str:
    """The number, or the least and the most."""
    found = sorted(set(counts))
    return "" if not found else "-".join(str(n) for n in dict.fromkeys((found[0], found[-1])))


def _stays(found: Sequence[Entry]) -> Iterator[str]:
    """One line a reason: the networks, how many, why."""
    reasons: dict[str, dict[str, int]] = {}
    for entry in found:
        for cell in entry["cells"].values():
            counts: dict[str, int] = {}
            for site in cell.get("stayed", ()):
                reason = why(entry["network"], site["label"]) or site["reason"]
                counts[reason] = counts.get(reason, 0) + 1
            for reason, count in counts.items():
                most = reasons.setdefault(reason, {})
                most[entry["network"]] = max(most.get(entry["network"], 0), count)
    for reason, networks in reasons.items():
        who = "; ".join(f"{name}, {count}" for name, count in networks.items())
        yield f"- {who}: {reason}"


def _causes(found: Sequence[Entry]) -> Iterator[str]:
    causes: dict[str, dict[str, list[str]]] = {}
    for entry in found:
        for mode, cell in entry["cells"].items():
            if cell["cause"] is not None:
                causes.setdefault(entry["network"], {}).setdefault(cell["cause"], []).append(mode)
    for network, by_cause in causes.items():
        for cause, modes in by_cause.items():
            yield f"- {network} ({'; '.join(modes)}): {cause}"
    if not causes:
        yield "Nothing."
