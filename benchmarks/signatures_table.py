"""What `benchmarks.signatures` found: what must hold and does not, and a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.signatures import Cell

Entry = Mapping[str, Any]
Place = tuple[str, str, str, str]  # network, shapes, precision, target
FORMS = {
    "none": "no norm",
    "folded": "UN folded",
    "un": "UN unfolded",
    "released": "UN as released",
    "ln": "LN",
}
MUST_DIFFER = ("released", "ln")
COLUMNS = (
    "network, shapes",
    "precision",
    "SM",
    "as no norm",
    "kernels",
    "MB written",
    "MB activation",
    "fp32 outputs",
)


def places(entries: Iterable[Entry]) -> dict[Place, dict[str, Entry]]:
    """Entries by where and how they are built, and by form."""
    found: dict[Place, dict[str, Entry]] = {}
    for one in entries:
        place = (one["network"], one["shapes"], one["precision"], one["target"])
        found.setdefault(place, {})[one["form"]] = one
    return found


def alike(forms: Mapping[str, Entry]) -> list[str]:
    """The forms whose kernels have the signatures of no norm, itself left out."""
    bare = forms.get("none", {}).get("signatures")
    return [
        form
        for form in FORMS
        if bare and form != "none" and forms.get(form, {}).get("signatures") == bare
    ]


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
        where = " ".join(place)
        for form, one in forms.items():
            if has_products(place[2], place[3]) and "refused" in one:
                found.append(f"{where} {form}: {one['refused']}")
            if not has_products(place[2], place[3]) and "refused" not in one:
                found.append(f"{where} {form}: must be refused, and is built")
        same = alike(forms)
        if "signatures" in forms.get("none", {}) and "signatures" in forms.get("folded", {}):
            found += [] if "folded" in same else [f"{where}: folded has other kernels than no norm"]
        found += [f"{where}: {f} has the kernels of no norm" for f in same if f in MUST_DIFFER]
    return found


def markdown(entries: Sequence[Entry], builder: str, missing: Sequence[Cell]) -> str:
    """The whole page."""
    found = places(entries)
    built = {p: forms for p, forms in found.items() if has_products(p[2], p[3])}
    both = [forms for forms in built.values() if {"none", "folded"} <= forms.keys()]
    equal = sum("folded" in alike(forms) for forms in both)
    lines = [
        "# Which kernels engines run",
        "",
        f"Written from signatures.json by `python -m benchmarks.signatures`: {builder}, engines "
        "built and not run, batch 2 (dynamic: 1 to 8), BERT with 16 tokens (8 to 32). Engines do "
        "the same work where the multisets of their kernels' signatures are equal "
        "(docs/engines.md).",
        "",
        f"- **UN folded has the kernels of no norm in {equal} of {len(both)} configurations.** "
        + _folds(entries),
        *(_differing(form, built) for form in ("un", "released", "ln")),
        f"- Kernels multiply in {_multiplying(entries)}. An engine in which one multiplies in "
        "another type counts as refused; what it reads else, such as an fp32 mask, must be what "
        "the graph gives the nodes that are fused with the product.",
        *_fp32_outputs(entries),
        *_refusals(entries),
        *(f"- **Must not be:** {line}" for line in faults(entries)),
        *_missing(missing),
        "",
        "Numbers are those of no norm / UN folded / UN unfolded / UN as released / LN, or one "
        "where all are equal. Targets with equal rows stand together; - is TensorRT-RTX's own "
        "choice. *As no norm*: the forms with its signatures. *MB written*: by all kernels in a "
        "run, open where shapes are dynamic. *fp32 outputs*: kernels that write fp32 though less "
        "was asked for.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
        *_rows(found),
    ]
    return "\n".join(lines) + "\n"


def _differing(form: str, built: Mapping[Place, Mapping[str, Entry]]) -> str:
    """In how many configurations a form has other kernels, and where it has the same."""
    known = {
        place: forms
        for place, forms in built.items()
        if "signatures" in forms.get("none", {}) and "signatures" in forms.get(form, {})
    }
    same = [" ".join(place) for place, forms in known.items() if form in alike(forms)]
    count = _equal(known.values(), form, "kernels")
    written = _equal(known.values(), form, "bytes_written")
    memory = _equal(known.values(), form, "activation_bytes")
    return (
        f"- {FORMS[form]} has other kernels in {len(known) - len(same)} of {len(known)}"
        + (f", and **the kernels of no norm in {', '.join(same)}**" if same else "")
        + f". As many kernels as no norm: in {count}; as many bytes written: in {written}; as much "
        f"activation memory: in {memory}."
    )


def _equal(known: Iterable[Mapping[str, Entry]], form: str, field: str) -> int:
    return sum(f["none"][field] is not None and f[form][field] == f["none"][field] for f in known)


def _folds(entries: Iterable[Entry]) -> str:
    folded = [one for one in entries if one["form"] == "folded"]
    stayed = sum(one["norms_stayed"] for one in folded)
    gained = sum(len(one["gained_biases"]) for one in folded)
    return f"Their fold reports name {stayed} norms that stayed and {gained} gained biases."


def _multiplying(entries: Iterable[Entry]) -> str:
    """The types by precision."""
    types: dict[str, dict[str, None]] = {}
    for one in entries:
        types.setdefault(one["precision"], {}).update(dict.fromkeys(one.get("multiplying", ())))
    return "; ".join(f"{', '.join(told)} ({precision})" for precision, told in types.items())


def _fp32_outputs(entries: Iterable[Entry]) -> list[str]:
    """What the kernels fuse that write fp32, by the forms that have them."""
    forms: dict[str, set[str]] = {}
    for one in entries:
        for name in one.get("fp32_outputs", ()):
            what = re.sub(r"^_+myl_|_myl.*$", "", name)
            forms.setdefault(what, set()).add(one["form"])
    told = "; ".join(
        f"`{what}` ({', '.join(title for form, title in FORMS.items() if form in of)})"
        for what, of in forms.items()
    )
    return [f"- Kernels that write fp32 in fp16 and bf16 engines: {told}."] if told else []


def _refusals(entries: Iterable[Entry]) -> list[str]:
    """How often SM75 is refused, and the first text of each precision."""
    texts: dict[str, list[str]] = {}
    for one in entries:
        if "refused" in one and not has_products(one["precision"], one["target"]):
            texts.setdefault(one["precision"], []).append(one["refused"])
    return [
        f"- SM75 is refused in {precision}, in all {len(told)} builds; the first text: `{told[0]}`"
        for precision, told in texts.items()
    ]


def _missing(missing: Sequence[Cell]) -> list[str]:
    """Builds that were not made, as so many of a network and form."""
    counts: dict[str, int] = {}
    for cell in missing:
        name = f"{cell.network} {cell.form}"
        counts[name] = counts.get(name, 0) + 1
    if not counts:
        return []
    told = ", ".join(f"{name} ({count})" for name, count in counts.items())
    return [f"- **Not built yet:** {len(missing)} builds: {told}."]


def _rows(found: Mapping[Place, Mapping[str, Entry]]) -> list[str]:
    """A line for targets that have the same."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for (network, shapes, precision, target), forms in found.items():
        if has_products(precision, target):
            texts = (
                ", ".join(FORMS[form] for form in alike(forms)) or "none",
                _each(forms, "kernels", str),
                _each(forms, "bytes_written", _mega),
                _each(forms, "activation_bytes", _mega),
                "" if precision == "fp32" else _each(forms, "fp32_outputs", lambda x: str(len(x))),
            )
            name = "-" if target == "default" else target
            rows.setdefault((f"{network}, {shapes}", precision, *texts), []).append(name)
    return [
        f"| {network} | {precision} | {', '.join(names)} | {' | '.join(texts)} |"
        for (network, precision, *texts), names in rows.items()
    ]


def _each(forms: Mapping[str, Entry], field: str, text: Callable[[Any], str]) -> str:
    told = [text(forms[f][field]) if field in forms.get(f, {}) else "?" for f in FORMS]
    return told[0] if len(set(told)) == 1 else " / ".join(told)


def _mega(count: int | None) -> str:
    return "open" if count is None else f"{count / 1e6:.3g}"
