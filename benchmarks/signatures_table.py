"""What `benchmarks.signatures` found: what must hold and does not, and a table."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.entries import Entry, table
from un_deploy.graph.precision.names import Precision

Place = tuple[str, str, str, str]  # network, shapes, precision, target
Forms = Mapping[str, Entry]
FORMS = {
    "none": "no norm",
    "folded": "UN folded",
    "un": "UN unfolded",
    "released": "UN as released",
    "ln": "LN",
}
MUST_DIFFER = ("released", "ln")
COLUMNS = ["network, shapes", "precision", "SM", "as no norm", "kernels"]
COLUMNS += ["MB written", "MB activation", "fp32 outputs"]


@dataclass(frozen=True, order=True)
class Cell:
    """One build; `target` is a compute capability, or "default" for TensorRT-RTX's own choice."""

    network: str
    shapes: str
    precision: Precision
    target: str
    form: str


def places(entries: Iterable[Entry]) -> Mapping[Place, Forms]:
    """Entries by where and how they are built, and by form."""
    found: defaultdict[Place, dict[str, Entry]] = defaultdict(dict)
    for one in entries:
        found[one["network"], one["shapes"], one["precision"], one["target"]][one["form"]] = one
    return found


def alike(forms: Forms) -> list[str]:
    """The forms whose kernels have the signatures of no norm, itself left out."""
    bare = forms.get("none", {}).get("signatures")
    others = (form for form in FORMS if bare and form != "none")
    return [form for form in others if forms.get(form, {}).get("signatures") == bare]


def both_built(forms: Forms, form: str) -> bool:
    """Whether there are engines of no norm and of a form."""
    return all("signatures" in forms.get(one, {}) for one in ("none", form))


def has_products(precision: str, target: str) -> bool:
    """Turing multiplies in fp16 alone."""
    return target != "75" or precision == "fp16"


def faults(entries: Iterable[Entry]) -> list[str]:
    """What must not be: a line for each.

    A build that is refused where it must not be, or made where it must be refused; a folded network
    with other kernels than no norm; the released form or LN with the same. UN unfolded with the
    kernels of no norm is told in the table: a compiler may fuse its scale and shift away.
    """
    found = []
    for place, forms in places(entries).items():
        where, wanted = " ".join(place), has_products(*place[2:])
        for form, one in forms.items():
            if wanted == ("refused" in one):
                said = one["refused"] if wanted else "must be refused, and is built"
                found.append(f"{where} {form}: {said}")
        same = alike(forms)
        if both_built(forms, "folded") and "folded" not in same:
            found.append(f"{where}: folded has other kernels than no norm")
        found += [f"{where}: {f} has the kernels of no norm" for f in same if f in MUST_DIFFER]
    return found


def markdown(entries: Sequence[Entry], builder: str, missing: Sequence[Cell]) -> str:
    """The whole page."""
    found = places(entries)
    built = {place: forms for place, forms in found.items() if has_products(*place[2:])}
    both = [forms for forms in built.values() if {"none", "folded"} <= forms.keys()]
    equal = sum("folded" in alike(forms) for forms in both)
    folded = [one for one in entries if one["form"] == "folded"]
    stayed = sum(one["norms_stayed"] for one in folded)
    gained = sum(len(one["gained_biases"]) for one in folded)
    types = _grouped((e["precision"], kind) for e in entries for kind in e.get("multiplying", ()))
    multiplying = "; ".join(f"{', '.join(kinds)} ({name})" for name, kinds in types.items())
    points = [
        f"**UN folded has the kernels of no norm in {equal} of {len(both)} configurations.** "
        f"Their fold reports name {stayed} norms that stayed and {gained} gained biases.",
        *(_differing(form, built) for form in ("un", "released", "ln")),
        f"Kernels multiply in {multiplying}. An engine in which one multiplies in "
        "another type counts as refused; what it reads else, such as an fp32 mask, must be what "
        "the graph gives the nodes that are fused with the product.",
        *_fp32_outputs(entries),
        *_refusals(entries),
        *(f"**Must not be:** {line}" for line in faults(entries)),
    ]
    if missing:
        counts = Counter(f"{cell.network} {cell.form}" for cell in missing)
        told = ", ".join(f"{name} ({count})" for name, count in counts.items())
        points.append(f"**Not built yet:** {len(missing)} builds: {told}.")
    lines = [
        "# Which kernels engines run",
        "",
        f"Written from signatures.json by `python -m benchmarks.signatures`: {builder}, engines "
        "built and not run, batch 2 (dynamic: 1 to 8), BERT with 16 tokens (8 to 32). Engines do "
        "the same work where the multisets of their kernels' signatures are equal "
        "(docs/engines.md).",
        "",
        *(f"- {point}" for point in points),
        "",
        "Numbers are those of no norm / UN folded / UN unfolded / UN as released / LN, or one "
        "where all are equal. Targets with equal rows stand together; - is TensorRT-RTX's own "
        "choice. *As no norm*: the forms with its signatures. *MB written*: by all kernels in a "
        "run, open where shapes are dynamic. *fp32 outputs*: kernels that write fp32 though less "
        "was asked for.",
        "",
        *table(COLUMNS, _rows(built)),
    ]
    return "\n".join(lines) + "\n"


def _grouped(pairs: Iterable[tuple[Any, str]]) -> dict[Any, list[str]]:
    """What comes with each key, in the order of the first time, without what comes again."""
    found: defaultdict[Any, dict[str, None]] = defaultdict(dict)
    for key, one in pairs:
        found[key][one] = None
    return {key: list(told) for key, told in found.items()}


def _differing(form: str, built: Mapping[Place, Forms]) -> str:
    """In how many configurations a form has other kernels, and where it has the same."""
    known = {place: forms for place, forms in built.items() if both_built(forms, form)}
    same = [" ".join(place) for place, forms in known.items() if form in alike(forms)]
    fields = ("kernels", "bytes_written", "activation_bytes")
    pairs = [[(f["none"][field], f[form][field]) for f in known.values()] for field in fields]
    count, written, memory = (sum(a == b is not None for a, b in both) for both in pairs)
    return (
        f"{FORMS[form]} has other kernels in {len(known) - len(same)} of {len(known)}"
        + (f", and **the kernels of no norm in {', '.join(same)}**" if same else "")
        + f". As many kernels as no norm: in {count}; as many bytes written: in {written}; as much "
        f"activation memory: in {memory}."
    )


def _fp32_outputs(entries: Iterable[Entry]) -> list[str]:
    """What the kernels fuse that write fp32, by the forms that have them."""
    forms = _grouped(
        (re.sub(r"^_+myl_|_myl.*$", "", name), one["form"])
        for one in entries
        for name in one.get("fp32_outputs", ())
    )
    told = "; ".join(
        f"`{what}` ({', '.join(title for form, title in FORMS.items() if form in of)})"
        for what, of in forms.items()
    )
    return [f"Kernels that write fp32 in fp16 and bf16 engines: {told}."] if told else []


def _refusals(entries: Iterable[Entry]) -> list[str]:
    """How often SM75 is refused, and the first text of each precision."""
    of_turing = [e for e in entries if not has_products(e["precision"], e["target"])]
    refused = [e for e in of_turing if "refused" in e]
    counts = Counter(one["precision"] for one in refused)
    texts = _grouped((one["precision"], one["refused"]) for one in refused)
    return [
        f"SM75 is refused in {name}, in all {counts[name]} builds; the first text: `{text[0]}`"
        for name, text in texts.items()
    ]


def _rows(built: Mapping[Place, Forms]) -> list[Sequence[str]]:
    """A row for targets that have the same."""

    def row(network: str, shapes: str, precision: str, forms: Forms) -> tuple[str, ...]:
        return (
            f"{network}, {shapes}",
            precision,
            ", ".join(FORMS[form] for form in alike(forms)) or "none",
            _each(forms, "kernels", str),
            _each(forms, "bytes_written", _mega),
            _each(forms, "activation_bytes", _mega),
            "" if precision == "fp32" else _each(forms, "fp32_outputs", lambda x: str(len(x))),
        )

    rows = _grouped(
        (row(place[0], place[1], place[2], forms), place[3].replace("default", "-"))
        for place, forms in built.items()
    )
    return [(*key[:2], ", ".join(targets), *key[2:]) for key, targets in rows.items()]


def _each(forms: Forms, field: str, text: Callable[[Any], str]) -> str:
    told = [text(forms[f][field]) if field in forms.get(f, {}) else "?" for f in FORMS]
    return told[0] if len(set(told)) == 1 else " / ".join(told)


def _mega(count: int | None) -> str:
    return "open" if count is None else f"{count / 1e6:.3g}"
