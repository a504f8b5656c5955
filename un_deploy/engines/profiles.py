"""Optimisation profiles: which shapes an engine takes, and for which it is tuned.

Spelled as trtexec spells them, ``input_ids:1x128,attention_mask:1x128``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import TensorSpec

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Range:
    """The smallest, the usual and the largest shape of one input."""

    min: Shape
    opt: Shape
    max: Shape

    def holds(self, shape: Shape) -> bool:
        """Whether a shape lies between the smallest and the largest."""
        return len(shape) == len(self.min) and all(
            least <= size <= most
            for least, size, most in zip(self.min, shape, self.max, strict=True)
        )

    def __str__(self) -> str:
        return f"{_text(self.min)} to {_text(self.max)}"


Profile = Mapping[str, Range]
"""One range for every dynamic input, by name."""


def parse_shapes(text: str) -> dict[str, Shape]:
    """Read ``name:1x3x224x224,other:1x128``; a name may hold colons; an empty shape is a scalar.

    Raises:
        InputError: the text is not of that form, or names an input twice.
    """
    shapes: dict[str, Shape] = {}
    for part in text.split(","):
        name, colon, dims = part.strip().rpartition(":")
        sizes = dims.split("x") if dims else []
        if not colon or not name or not all(size.isdecimal() for size in sizes):
            raise InputError(f"{part.strip()!r} is not NAME:SIZES, as in pixel_values:1x3x224x224")
        if name in shapes:
            raise InputError(f"{text!r} names {name} twice")
        shapes[name] = tuple(map(int, sizes))
    return shapes


def profiles_of(
    least: Sequence[Mapping[str, Shape]],
    usual: Sequence[Mapping[str, Shape]],
    largest: Sequence[Mapping[str, Shape]],
) -> tuple[Profile, ...]:
    """Profiles from the shapes of --minShapes, --optShapes and --maxShapes, one of each a profile.

    As for trtexec, --optShapes without the two others stands for all three.

    Raises:
        InputError: one of the three is missing, or names other inputs than its neighbours.
    """
    if usual and not least and not largest:
        least = largest = usual
    profiles = []
    for number, three in enumerate(zip_longest(least, usual, largest)):
        low, middle, high = three
        if low is None or middle is None or high is None:
            raise InputError(
                f"profile {number} needs --minShapes, --optShapes and --maxShapes, each once for "
                "a profile; --optShapes alone, or --shapes, gives all three"
            )
        if not low.keys() == middle.keys() == high.keys():
            odd = sorted(set(low) ^ set(middle) | set(middle) ^ set(high))
            raise InputError(
                f"profile {number}: {', '.join(odd)} is not in all of --minShapes, --optShapes and "
                "--maxShapes"
            )
        profiles.append({name: Range(low[name], middle[name], high[name]) for name in low})
    return tuple(profiles)


def profile_holding(
    profiles: Sequence[Profile], shapes: Mapping[str, Shape], *, origin: str = "it"
) -> int:
    """The first profile that takes these shapes, by input, together; 0 where there is none at all.

    Raises:
        InputError: none does; names an input, its shape, and the ranges it may have.
    """
    refused: dict[str, list[str]] = {}
    for index, profile in enumerate(profiles):
        outside = [name for name, one in profile.items() if not one.holds(shapes[name])]
        if not outside:
            return index
        refused.setdefault(outside[0], []).append(str(profile[outside[0]]))
    for name, allowed in refused.items():
        raise InputError(
            f"{origin} takes input {name} from {' or '.join(allowed)}, and got "
            f"{_text(shapes[name])}: build it with a profile that holds this shape"
        )
    return 0


def check_profiles(profiles: Sequence[Profile], inputs: Sequence[TensorSpec]) -> None:
    """Hold profiles against the inputs of a graph; TensorRT's own errors say little or nothing.

    Raises:
        InputError: a dynamic input has no range, or a range has no input, another rank, another
            size where the input's is fixed, a smallest size above a larger one, or two sizes for
            one named dimension.
    """
    dynamic = [spec for spec in inputs if not _is_static(spec)]
    if dynamic and not profiles:
        raise InputError(
            f"input {dynamic[0]} has sizes that are open: give --shapes, or --minShapes, "
            "--optShapes and --maxShapes"
        )
    known = {spec.name: spec for spec in inputs}
    for number, profile in enumerate(profiles):
        where = f"profile {number}"
        for name in profile.keys() - known.keys():
            raise InputError(f"{where} names {name}; the inputs are {', '.join(known)}")
        for spec in dynamic:
            if spec.name not in profile:
                raise InputError(f"{where} says nothing of input {spec}, whose sizes are open")
        for name, shapes in profile.items():
            _check_range(shapes, known[name], where)
        _check_named_sizes(profile, known, where)


def _is_static(spec: TensorSpec) -> bool:
    return spec.shape is not None and all(isinstance(dim, int) for dim in spec.shape)


def _check_range(shapes: Range, spec: TensorSpec, where: str) -> None:
    for title, shape in (("min", shapes.min), ("opt", shapes.opt), ("max", shapes.max)):
        text = f"{where}: the {title} shape {_text(shape)} of input {spec}"
        if spec.shape is None:
            continue
        if len(shape) != len(spec.shape):
            raise InputError(f"{text} has {len(shape)} axes, not {len(spec.shape)}")
        for axis, (size, dim) in enumerate(zip(shape, spec.shape, strict=True)):
            if isinstance(dim, int) and size != dim:
                raise InputError(f"{text} has size {size} at axis {axis}, which is fixed at {dim}")
    if len({len(shapes.min), len(shapes.opt), len(shapes.max)}) > 1:
        raise InputError(f"{where}: the shapes of input {spec} differ in rank")
    for axis, sizes in enumerate(zip(shapes.min, shapes.opt, shapes.max, strict=True)):
        if not sizes[0] <= sizes[1] <= sizes[2]:
            raise InputError(
                f"{where}: axis {axis} of input {spec} has min {sizes[0]}, opt {sizes[1]}, max "
                f"{sizes[2]}: they must not fall"
            )
        if sizes[1] == 0:
            raise InputError(
                f"{where}: axis {axis} of input {spec} has opt 0: an engine cannot be tuned for "
                "nothing, so give 1 or more; only min may be 0"
            )


def _check_named_sizes(profile: Profile, known: Mapping[str, TensorSpec], where: str) -> None:
    """A named dimension is one size, whatever the input: the graph was exported to need it."""
    seen: dict[str, tuple[str, tuple[int, int, int]]] = {}
    for name, shapes in profile.items():
        dims = known[name].shape
        if dims is None:
            continue
        ranges = zip(shapes.min, shapes.opt, shapes.max, strict=True)
        for dim, sizes in zip(dims, ranges, strict=True):
            if not isinstance(dim, str):
                continue
            other, before = seen.setdefault(dim, (name, sizes))
            if before != sizes:
                raise InputError(
                    f"{where}: {dim} is {before} in {other} and {sizes} in {name} (min, opt, "
                    "max): it must be the same"
                )


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "()"
