"""The page docs/corpus.md: what five tools make of ONNX files by others, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import entries

OURS = "un-deploy"
MOST = 1e-4

#: Why another tool leaves fewer norms than un-deploy, by file and tool.
WHY: Mapping[tuple[str, str], str] = {}


def problems(entry: Mapping[str, Any]) -> list[str]:
    """What is not as it should be: un-deploy's failures, and what it leaves without a reason."""
    ours = entry["tools"][OURS]
    if "failed" in ours:
        return [f"un-deploy: {ours['failed']}"]
    found = []
    if ours["error"] is None:
        found.append("nothing was run")
    if (ours["error"] or 0.0) > MOST:
        found.append(f"un-deploy: the outputs differ by {ours['error']:.1e}")
    unsaid = [tool for tool in fewer(entry) if (entry["file"], tool) not in WHY]
    return found + [f"{tool} leaves fewer norms, and nothing says why" for tool in unsaid]


def fewer(entry: Mapping[str, Any]) -> Iterator[str]:
    """The tools that leave fewer norms than un-deploy, and a file that runs and is right."""
    ours = entry["tools"][OURS]
    for tool, made in entry["tools"].items():
        right = "failed" not in made and (made["error"] or 0.0) <= MOST
        if right and made["norms"] < ours.get("norms", 0):
            yield tool


def page(found: Sequence[Mapping[str, Any]]) -> str:
    """All tables, and every norm that stays."""
    tools = list(found[0]["tools"])
    lines = [
        "# Files by others",
        "",
        "Made by `make corpus` (benchmarks/corpus.py), which tells how each figure comes about;",
        "the packages that the files are from are pinned in constraints-corpus.txt.",
        "",
        _environment(found[0]["environment"]),
        "",
        "## Norms that are left",
        "",
        "Norms that constants can replace (BatchNormalization, scales and shifts per channel), as",
        "un-deploy finds them in what each tool saved. In brackets those that measure their input,",
        "such as LayerNormalization, which no constant replaces. A shift that is left alone, one",
        "Add, is no norm, and neither is a single factor that is beside no linear operator.",
        "",
        *entries.table(
            ["file", "opset", "in the file", *tools],
            ([e["file"], str(e["opset"]), _norms(e["original"]), *(_norms(e["tools"][t])
              for t in tools)] for e in found),
        ),
        "",
        *_sums(found, tools),
        "",
        "Where another tool leaves fewer than un-deploy:",
        "",
        *_reasons(found),
        "",
        "## What each tool makes of each file",
        "",
        f"An error above {MOST:.0e} is set in bold. Time and memory are of the whole process,",
        "imports included; un-deploy also proves its fold.",
        "",
        *entries.table(
            ["file", "tool", "operators", "largest error", "s of CPU", "peak, MB"],
            (row for entry in found for row in _rows(entry)),
        ),
        "",
        *_not_run(found),
        "## The norms that un-deploy leaves",
        "",
        "Whole, or a part of them. Scale and shift of a LayerNormalization that is written out are",
        "told apart from what measures.",
        "",
        *entries.table(["file", "norms", "why"], (row for e in found for row in _left(e))),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _environment(told: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {value}" for name, value in told.items() if value is not None) + "."


def _norms(made: Mapping[str, Any]) -> str:
    if "norms" not in made:
        return "fails"
    return f"{made['norms']}" + (f" ({made['measuring']})" if made["measuring"] else "")


def _sums(found: Sequence[Mapping[str, Any]], tools: Sequence[str]) -> Iterator[str]:
    """Over the files that all tools can do."""
    both = [e for e in found if all("failed" not in made for made in e["tools"].values())]
    left = (f"{tool} {sum(e['tools'][tool]['norms'] for e in both)}" for tool in tools)
    yield f"Over the {len(both)} of {len(found)} files that every tool can do, of " + (
        f"{sum(e['original']['norms'] for e in both)} norms are left: {', '.join(left)}."
    )


def _reasons(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    told = [(e["file"], tool) for e in found for tool in fewer(e)]
    for key in told:
        yield f"- {key[0]}, {key[1]}: {WHY.get(key, 'not known')}"
    if not told:
        yield "- nowhere"


def _rows(entry: Mapping[str, Any]) -> Iterator[list[str]]:
    yield [entry["file"], "(as it is)", str(entry["original"]["operators"]), "", "", ""]
    for tool, made in entry["tools"].items():
        if "norms" not in made:
            yield ["", tool, f"fails: {_short(made['failed'])}", "", "", ""]
            continue
        error = "not run" if made["error"] is None else f"{made['error']:.1e}"
        if "failed" in made:
            error = _short(made["failed"])
        elif (made["error"] or 0.0) > MOST:
            error = f"**{error}**"
        yield ["", tool, str(made["operators"]), error, str(made["cpu_s"]), str(made["peak_mb"])]


def _short(text: str) -> str:
    """A reason that fits a cell."""
    text = text.replace("|", "/").replace("\n", " ")
    return text if len(text) <= 160 else f"{text[:157]}..."


def _not_run(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Files that no inputs fit, or whose outputs say little of an error."""
    files = [entry for entry in found if "not_run" in entry]
    yield from (f"- {e['file']} does not run: {_short(e['not_run'])}" for e in files)
    small = [entry for entry in found if entry.get("largest", 1.0) < 1.01e-3]
    yield from (f"- {e['file']}: on all inputs an output stays below 0.001" for e in small)
    if files or small:
        yield ""


def _left(entry: Mapping[str, Any]) -> Iterator[list[str]]:
    """Norms that stay for the same reason in one row."""
    by_reason: dict[str, list[str]] = {}
    for one in entry["left"]:
        by_reason.setdefault(one["reason"], []).append(one["norm"])
    for reason, norms in by_reason.items():
        named = ", ".join(f"`{norm}`" for norm in norms)
        yield [entry["file"], f"{len(norms)}: {named}", reason.replace("|", "/")]
