"""Of how many products do engines tell the type? Networks that are not the recipes', every target.

    python -m benchmarks.engine_types

Needs TensorRT-RTX (the rtx extra) and no GPU: engines are built, and not run. Every network of
tests/support/networks/foreign, in fp32, fp16 and bf16, for TensorRT-RTX's own choice of target and
for SM89. The table in docs/engines.md is written anew; builds are deterministic, so the same
version gives the same table. The exit code is 1 where too little is shown, see `faults`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import get_args

import click

from benchmarks.entries import table, written_into
from tests.support.networks.foreign import NETWORKS
from un_deploy.engines.building.from_graph import engine_of, prepare
from un_deploy.engines.building.options import BuildOptions
from un_deploy.engines.flavor import described
from un_deploy.engines.kernels.check_types import TypeReport
from un_deploy.errors import InputError
from un_deploy.files import atomic_write_text
from un_deploy.graph.precision.names import Precision

PAGE = Path(__file__).parents[1] / "docs" / "engines.md"
BEGIN, END = "<!-- written by benchmarks.engine_types -->", "<!-- end -->"
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
TARGETS = ("default", "89")
LEAST_SHOWN = 0.95

Cell = tuple[str, Precision, str]
"""A network, a precision, and a compute capability or "default"."""


def report(name: str, precision: Precision, target: str) -> TypeReport:
    """What an engine tells of its types.

    Raises:
        InputError: it cannot be built, or computes in another type.
    """
    network = NETWORKS[name]
    options = BuildOptions(compute_capabilities=() if target == "default" else (target,))
    made = engine_of(
        prepare(network.model(), precision, options=options),
        origin=name,
        flavor="tensorrt-rtx",
        profiles=network.profiles,
        options=options,
    )
    assert made.types is not None  # a precision was asked for
    return made.types


def reports(names: Iterable[str] = tuple(NETWORKS)) -> Iterator[tuple[Cell, TypeReport | str]]:
    """All of these networks, one after the other; the reason where an engine is refused."""
    for cell in product(names, PRECISIONS, TARGETS):
        try:
            yield cell, report(*cell)
        except InputError as error:
            yield cell, str(error)


def faults(found: dict[Cell, TypeReport | str]) -> list[str]:
    """What must not be: a refused engine, a product in a body whose type is not shown, and less
    than 95 % of all products shown."""
    told = {cell: one for cell, one in found.items() if isinstance(one, TypeReport)}
    lines = [f"{' '.join(cell)}: {one}" for cell, one in found.items() if isinstance(one, str)]
    lines += [
        f"{' '.join(cell)}: {one}"
        for cell, one in told.items()
        if NETWORKS[cell[0]].bodies and one.not_shown
    ]
    shown, products = _sums(told.values())
    if shown < LEAST_SHOWN * products:
        lines.append(f"the type of {shown} of {products} products is shown")
    return lines


def markdown(found: dict[Cell, TypeReport | str], builder: str) -> str:
    """The part of the page."""
    told = [one for one in found.values() if isinstance(one, TypeReport)]
    shown, products = _sums(told)
    names = list(dict.fromkeys(cell[0] for cell in found))
    rows = [
        (name, *(_row(found[name, p, t] for t in TARGETS) for p in PRECISIONS)) for name in names
    ]
    missing = dict.fromkeys(
        f"{name}, {precision}: {one.name} ({one.reason})"
        for (name, precision, _), report in found.items()
        if isinstance(report, TypeReport)
        for one in report.not_shown
    )
    lines = [
        f"{builder}, {len(names)} networks, its own choice of target and SM89: **the type of "
        f"{shown} of {products} products is shown.** A cell is how many of the network's, and how "
        f"many kernels multiply; both where the targets differ.",
        "",
        *table(["network", *PRECISIONS], rows),
        "",
        f"Not shown: {'; '.join(missing) or 'none'}.",
        *(f"**Must not be:** {line}" for line in faults(found)),
    ]
    return "\n".join(lines)


def page(part: str) -> str:
    """docs/engines.md with this part in it."""
    return written_into(PAGE, BEGIN, END, part)


def _sums(told: Iterable[TypeReport]) -> tuple[int, int]:
    told = list(told)
    return sum(one.shown for one in told), sum(one.products for one in told)


def _row(found: Iterable[TypeReport | str]) -> str:
    cells = (
        "refused"
        if isinstance(one, str)
        else f"{one.shown} of {one.products}, {sum(one.multiplying.values())} kernels"
        for one in found
    )
    return " / ".join(dict.fromkeys(cells))


@click.command()
def main() -> None:
    """Build all, and write the table."""
    found = {}
    for cell, one in reports():
        found[cell] = one
        click.echo(f"{' '.join(cell)}: {one}")
    atomic_write_text(PAGE, page(markdown(found, described("tensorrt-rtx"))), force=True)
    for line in (wrong := faults(found)):
        click.echo(line, err=True)
    raise SystemExit(int(bool(wrong)))


if __name__ == "__main__":
    main()
