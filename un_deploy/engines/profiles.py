"""Optimisation profiles: which shapes an engine takes, and for which it is tuned.

Spelled as trtexec spells them, ``input_ids:1x128,attention_mask:1x128``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import prod

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import TensorSpec

Shape = tuple[int, ...]

LARGEST_SIZE = 2**31 - 1

_PART = re.compile(
    r"""\s*(?:(?P<quote>['"])(?P<quoted>.*?)(?P=quote)|(?P<name>.*?))\s*"""
    r""":(?P<sizes>scalar|\d+(?:x\d+)*|)\s*(?P<end>,|$)""",
    re.ASCII,
)


@dataclass(frozen=True)
class Range:
    """The smallest, the usual and the largest shape of one input.

    Of an input that the network reads as a shape they are its values, as for trtexec: its own shape
    is fixed.
    """

    min: Shape
    opt: Shape
    max: Shape
    of_values: bool = False

    def holds(self, shape: Shape) -> bool:
        """Whether a shape lies between the smallest and the largest; TensorRT looks at values."""
        if self.of_values:
            return True
        return len(shape) == len(self.min) and all(
            least <= size <= most
            for least, size, most in zip(self.min, shape, self.max, strict=True)
        )

    def __str__(self) -> str:
        return f"{_text(self.min)} to {_text(self.max)}"


Profile = Mapping[str, Range]
"""One range for every dynamic input, by name."""


def parse_shapes(text: str, option: str = "--shapes") -> dict[str, Shape]:
    """Read ``name:1x3x224x224,other:1x128``; an empty shape, or ``scalar``, is that of a scalar.

    A name may hold commas and colons; one that could be read in two ways stands in quotes,
    ``'a:1,b':2x3``, as for trtexec.

    Raises:
        InputError: the text is not of that form, names an input twice, or holds a size that
            TensorRT cannot.
    """
    shapes: dict[str, Shape] = {}
    at = 0
    while at <= len(text):
        found = _PART.match(text, at)
        name = found and (found["quoted"] or found["name"])
        if not found or not name:
            raise InputError(
                f"{option}: {text[at:].strip()!r} is not NAME:SIZES, as in pixel_values:1x3x224x224"
            )
        if name in shapes:
            raise InputError(f"{option}: {text!r} names {name} twice")
        sizes = found["sizes"].removeprefix("scalar")
        shapes[name] = tuple(map(int, sizes.split("x"))) if sizes else ()
        if (largest := max(shapes[name], default=0)) > LARGEST_SIZE:
            raise InputError(
                f"{option}: {largest} for {name} is beyond {LARGEST_SIZE}, the largest size that "
                "TensorRT takes"
            )
        at = found.end() if found["end"] else len(text) + 1
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


def profile_of_sizes(sizes: Mapping[str, int], inputs: Sequence[TensorSpec]) -> Profile:
    """The profile in which every dynamic dimension has this one size, by its name.

    Raises:
        InputError: a name is none of theirs, a dimension has no name, or no size.
    """
    named = {dim for spec in inputs for dim in spec.shape or () if isinstance(dim, str)}
    for name in sizes:
        if name not in named:
            have = ", ".join(sorted(named)) or "none"
            raise InputError(f"{argument('dims')} names {name}; the dynamic dimensions are {have}")
    profile = {}
    for spec in inputs:
        if _is_static(spec):
            continue
        shape = []
        for dim in spec.shape or (None,):
            if not isinstance(dim, int) and dim not in sizes:
                missing = f"{argument('dims')} lacks {dim}" if dim else "a size has no name"
                raise InputError(
                    f"input {spec}: {missing}; or give {argument('profiles')}, such as "
                    f"{_example(spec)}"
                )
            shape.append(dim if isinstance(dim, int) else sizes[str(dim)])
        profile[spec.name] = Range(tuple(shape), tuple(shape), tuple(shape))
    return profile


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


def _example(spec: TensorSpec) -> str:
    """A shape to start from, as it is written: a batch of 8, and 128 for what else is open."""
    sizes = [
        n if isinstance(n, int) else 128 if axis else 8 for axis, n in enumerate(spec.shape or ())
    ]
    return f"{spec.name}:{'x'.join(map(str, sizes))}"


def check_profiles(profiles: Sequence[Profile], inputs: Sequence[TensorSpec]) -> None:
    """Hold profiles against the inputs of a graph; TensorRT's own errors say little or nothing.

    Raises:
        InputError: a dynamic input has no range, or a range has no input, another rank, another
            size where the input's is fixed, a smallest size above a larger one, or two sizes for
            one named dimension.
    """
    dynamic = [spec for spec in inputs if not _is_static(spec)]
    if dynamic and not profiles:
        example = ",".join(_example(spec) for spec in dynamic)
        raise InputError(
            f"input {dynamic[0]} has sizes that are open: give {argument('profiles')} for them, "
            f"such as {example}"
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


def may_be_values(shapes: Range, spec: TensorSpec) -> bool:
    """Whether a range may be one of an input's values: it has as many as the input has elements."""
    shape = spec.shape
    if shape is None or len(shape) > 1 or spec.dtype.kind != "i" or not _is_static(spec):
        return False
    count = prod(dim for dim in shape if isinstance(dim, int))
    return {len(shapes.min), len(shapes.opt), len(shapes.max)} == {count}


def _check_range(shapes: Range, spec: TensorSpec, where: str) -> None:
    values = may_be_values(shapes, spec)
    for title, shape in (("min", shapes.min), ("opt", shapes.opt), ("max", shapes.max)):
        text = f"{where}: the {title} shape {_text(shape)} of input {spec}"
        if spec.shape is None or values:
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


def _check_named_sizes(profile: Profile, known: Mapping[str, TensorSpec], where: str) -> None:
    """A named dimension is one size, whatever the input: the graph was exported to need it."""
    seen: dict[str, tuple[str, tuple[int, int, int]]] = {}
    for name, shapes in profile.items():
        dims = known[name].shape
        if dims is None or may_be_values(shapes, known[name]):
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
