"""A variant of a network, as it is compared; and which times are divided by which."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from un_deploy.printed import counted, first_few, listed
from un_deploy.runtime.settings import Fusions

Kind = Literal["ln", "unfolded", "folded", "none", "rms", "bn", "dyt", "derf"]

TITLES: dict[Kind, str] = {
    "ln": "LN",
    "unfolded": "UN unfolded",
    "folded": "UN folded",
    "none": "no norm",
    "rms": "RMSNorm",
    "bn": "BN",
    "dyt": "DyT",
    "derf": "Derf",
}

BASELINES: tuple[Kind, ...] = ("rms", "bn", "dyt", "derf")
"""Other norms of the same network, which stand beside the four variants where they are asked for;
what un-deploy can fold of each is one of its forms."""

COMPARED: tuple[tuple[Kind, Kind], ...] = (
    ("ln", "folded"),
    ("unfolded", "folded"),
    ("ln", "unfolded"),
    ("folded", "none"),
    *((kind, "folded") for kind in BASELINES),
)

WITHOUT_FOLDED: tuple[tuple[Kind, Kind], ...] = (
    ("ln", "none"),
    ("unfolded", "none"),
    *((kind, "none") for kind in BASELINES),
)
"""Where UN folded is not there, the others are held against the limit themselves."""


@dataclass(frozen=True)
class StayingNorm:
    """A norm of a variant that measures its input, so that no fold removes it.

    Attributes:
        kind: what it is called, such as "LayerNormalization".
        label: the module it was exported from, as far as the file tells.
    """

    kind: str
    label: str


def told_staying(
    staying: Mapping[Kind, tuple[StayingNorm, ...]], kinds: Collection[Kind]
) -> Iterator[str]:
    """Which norms a network is not without, although "no norm" or "UN folded" is its title.

    Args:
        staying: by variant; those that are not there have not been looked at.
        kinds: all variants that are compared.
    """
    rid = [kind for kind in TITLES if kind in kinds and kind not in ("ln", *BASELINES)]
    for norms in dict.fromkeys(staying[kind] for kind in rid if staying.get(kind)):
        holders = [kind for kind in rid if staying.get(kind) == norms]
        everywhere = holders == rid and len(staying.get("ln", norms)) >= len(norms)
        where = listed([TITLES[kind] for kind in holders])
        if everywhere and holders != ["unfolded"]:
            where = f"every variant, {listed([TITLES[k] for k in rid if k != 'unfolded'])} too"
        yield (
            f"{counted(norm.kind for norm in norms)} {'stay' if len(norms) > 1 else 'stays'} in "
            f"{where}: {first_few(norm.label for norm in norms)}"
        )


def pairs_of(kinds: Collection[Kind]) -> list[tuple[Kind, Kind]]:
    """Which of these kinds are divided by which."""
    pairs = COMPARED if "folded" in kinds else (*COMPARED, *WITHOUT_FOLDED)
    return [(of, to) for of, to in pairs if of in kinds and to in kinds]


@dataclass(frozen=True)
class Variant:
    """One form of a network to be timed.

    Attributes:
        model: the ONNX file, or the plan.
        source: where it comes from, for the reader: a file, a spec, or what it was derived from.
        derived: whether un-deploy made it from another variant.
        operators: in its graph; None: a plan, which does not tell.
        form: what tells it from others of its kind.
        plan_bytes: the size of the plan; None: it is an ONNX file.
        sha256: of `model`, in hexadecimal. A network whose weights lie in files of their own is
            written as one before it is timed, and this is of that; "" where nobody looked.
    """

    kind: Kind
    model: str
    source: str
    derived: bool
    operators: int | None
    form: str = ""
    fusions: Fusions = "all"
    plan_bytes: int | None = None
    sha256: str = ""

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.form}" if self.form else self.kind
