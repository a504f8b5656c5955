"""A norm, what it passes, and what takes it in: drawn operator by operator, in both directions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from tests.support.fuzzer.drawing.part import Part, block

_SWAP = "Transpose<perm=[0,2,1]>"
_SAME = "kernel_shape=[3,3],pads=[1,1,1,1]"
_INTEGERS = {
    "heads": [0, 0, 2, 2], "joined": [0, 0, 4], "first": [1], "last": [-1], "none": [0],
    "all": [9], "four": [4], "fours": [4, 4], "twice": [1, 1, 2], "order": [3, 1, 0, 2],
    "end": [2], "around": [0, 1, 0, 0, 1, 0], "places": [2, 3], "place": [3],
    "border": [0, 0, 1, 1, 0, 0, 1, 1], "inner": [1, 1], "outer": [-1, -1], "six": [0, 4, 36],
    "image": [0, 4, 6, 6],
}  # fmt: skip
_FACTORS = {"by": [1.0, 1.0, 2.0, 2.0]}

#: From {x} to {y} of the same shape; other words in braces are new tensors, and weights are their
#: own. A scale passes all of them, a shift the first ones alone.
_OF_TOKENS = (
    f"{{k}} = {_SWAP}({{x}}) {{l}} = Neg({{k}}) {{y}} = {_SWAP}({{l}})",
    "{k} = Reshape({x}, heads) {l} = Transpose<perm=[0,2,1,3]>({k}) "
    "{m} = Transpose<perm=[0,2,1,3]>({l}) {y} = Reshape({m}, joined)",
    "{k} = Unsqueeze({x}, last) {y} = Squeeze({k}, last)",
    "{s} = Shape({x}) {k} = Flatten<axis=2>({x}) {y} = Reshape({k}, {s})",
    "{s} = Shape({x}) {k} = Expand({x}, {s}) {y} = Identity({k})",
    "{y} = Dropout({x})",
    "{k} = Cast<to=11>({x}) {y} = Cast<to=1>({k})",
    "{k} = Tile({x}, twice) {y} = Slice({k}, none, four, end)",
    "{k} = Concat<axis=2>({x}, {x}) {y}, {l} = Split<axis=2>({k}, fours)",
    '{k} = Pad<mode="edge">({x}, around) {y} = Slice({k}, first, last, first)',
    "{k} = ReduceMax<axes=[1]>({x}) {l} = ReduceMin<axes=[1]>({x}) {y} = Sum({x}, {k}, {l})",
    "{k} = ReduceMean<axes=[1]>({x}) {y} = Sub({x}, {k})",
    "{y} = Add({x}, t_1_1_4)",
    "{k} = Identity({x}) {l} = Div({k}, am_1) {y} = Identity({l})",
    "{k} = Identity({x}) {l} = Mul({k}, am_1) {y} = Identity({l})",
    "{y} = Where(keep, {x}, c_1)",
    "{k} = MatMul(z, t_4_4) {y} = Where(keep, {x}, {k})",
    "{k} = Gather<axis=2>({x}, order) {y} = Gather<axis=2>({k}, order)",
)
_SCALED_TOKENS = (
    "{y} = Relu({x})",
    "{y} = LeakyRelu<alpha=0.2>({x})",
    "{y} = PRelu({x}, s_4)",
    "{y} = Abs({x})",
    "{y} = Mul({x}, mask)",
    "{y} = Div({x}, mask)",
    "{k} = ReduceSum<axes=[1]>({x}) {y} = Add({k}, {x})",
)
_OF_IMAGES = (
    "{k} = Transpose<perm=[0,2,3,1]>({x}) {l} = Neg({k}) {y} = Transpose<perm=[0,3,1,2]>({l})",
    "{k} = Reshape({x}, six) {l} = Neg({k}) {y} = Reshape({l}, image)",
    f"{{y}} = AveragePool<{_SAME}>({{x}})",
    "{k} = GlobalAveragePool({x}) {y} = Sub({x}, {k})",
    "{k} = Resize({x}, , by) {y} = AveragePool<kernel_shape=[2,2],strides=[2,2]>({k})",
    '{k} = Resize<mode="linear">({x}, , by) {y} = MaxPool<kernel_shape=[1,1],strides=[2,2]>({k})',
    "{k} = Upsample({x}, by) {y} = AveragePool<kernel_shape=[2,2],strides=[2,2]>({k})",
    "{k} = SpaceToDepth<blocksize=2>({x}) {l} = Identity({k}) {y} = DepthToSpace<blocksize=2>({l})",
    '{k} = Pad<mode="reflect">({x}, border) {y} = Slice({k}, inner, outer, places)',
    "{k} = Concat<axis=1>({x}, {x}) {l}, {y} = Split<axis=1>({k}, fours)",
    "{y} = Add({x}, t_1_4_1_1)",
)
_SCALED_IMAGES = (
    "{y} = Relu({x})",
    "{y} = LeakyRelu<alpha=0.2>({x})",
    "{y} = PRelu({x}, s_4_1_1)",
    f"{{y}} = MaxPool<{_SAME}>({{x}})",
    "{k} = GlobalMaxPool({x}) {y} = Add({x}, {k})",
    "{k} = Pad({x}, border) {y} = Slice({k}, inner, outer, places)",
    f"{{y}} = AveragePool<{_SAME},count_include_pad=1>({{x}})",
)
_OF_VECTORS = (
    "{k} = Unsqueeze({x}, last) {y} = Squeeze({k}, last)",
    "{k} = Transpose<perm=[1,0]>({x}) {l} = Neg({k}) {y} = Transpose<perm=[1,0]>({l})",
    "{k} = Flatten({x}) {y} = Neg({k})",
    "{k} = Concat<axis=1>({x}, {x}) {y}, {l} = Split<axis=1>({k}, fours)",
    "{k} = Gather<axis=1>({x}, order) {y} = Identity({k})",
    "{k} = Cast<to=11>({x}) {y} = Cast<to=1>({k})",
    "{y} = Add({x}, t_1_4)",
)


@dataclass(frozen=True)
class _Kind:
    """What chains of one signature are made of; `ends` are linear."""

    dims: str
    channels: str
    passing: tuple[str, ...]
    ends: tuple[str, ...]
    scaled: tuple[str, ...] = ()
    scaled_ends: tuple[str, ...] = ()


_KINDS = (
    _Kind(
        "B,S,4",
        "4",
        _OF_TOKENS,
        (
            "{y} = MatMul({x}, w_4_4)",
            "{k} = MatMul({x}, w_4_4) {y} = Add({k}, b_4)",
            '{y} = Einsum<equation="bsc,cd->bsd">({x}, w_4_4)',
        ),
        _SCALED_TOKENS,
    ),
    _Kind(
        "B,4,6,6",
        "4_1_1",
        _OF_IMAGES,
        ("{y} = Conv({x}, w_4_4_1_1)", "{y} = Conv({x}, w_4_4_1_1, b_4)"),
        _SCALED_IMAGES,
        (f"{{y}} = Conv<{_SAME}>({{x}}, w_4_4_3_3)", "{y} = ConvTranspose({x}, w_4_4_1_1)"),
    ),
    _Kind(
        "B,4",
        "4",
        _OF_VECTORS,
        ("{y} = Gemm({x}, w_4_4, b_4)", "{y} = Gemm<transB=1,alpha=0.5>({x}, w_4_4)"),
        ("{y} = Relu({x})", "{y} = Abs({x})"),
    ),
)
_INPUTS = {
    "z": "float[B,S,4] z",
    "keep": "bool[B,S,1] keep",
    "mask": "float[B,S,1] mask",
}


def chain(random: Random) -> Part:
    """One to four operators between a norm and what is linear, either of them first."""
    kind, scale = random.choice(_KINDS), random.random() < 0.5
    passing, ends = kind.passing, kind.ends
    norm = [f"{{k}} = Mul({{x}}, a_{kind.channels}) {{y}} = Add({{k}}, b_{kind.channels})"]
    if scale:
        norm = [f"{{y}} = Mul({{x}}, a_{kind.channels})"]
        passing, ends = passing + kind.scaled, ends + kind.scaled_ends
    elif kind.dims != "B,S,4" and random.random() < 0.5:
        norm = ["{y} = BatchNormalization({x}, a_4, b_4, c_4, av_4)"]
    between = [random.choice(passing) for _ in range(random.randint(1, 4))]
    texts = [*norm, *between, random.choice(ends)]
    if random.random() < 0.5:
        texts = [*texts[::-1], "{y} = Sigmoid({x})"]
    body = " ".join(_numbered(text, place) for place, text in enumerate(texts))
    body = body.replace(f"t{len(texts)} =", "y =")
    read = set(re.findall(r"\w+", body))
    inputs = [f"float[{kind.dims}] x", *(text for name, text in _INPUTS.items() if name in read)]
    signature = f"({', '.join(inputs)}) => (float[{kind.dims}] y)"
    operators = ", ".join(re.findall(r"= (\w+)", body))
    return Part(f"chain of {operators}", block(signature, body, _INTEGERS, _FACTORS))


def _numbered(text: str, place: int) -> str:
    """With the names of this place: from t2 to t3, and all else its own."""
    ends = {"x": f"t{place}" if place else "x", "y": f"t{place + 1}"}
    text = re.sub(r"\{(\w)\}", lambda m: ends.get(m[1], f"{m[1]}{place}"), text)
    letters = "abcdefgh"[place]
    return re.sub(r"\b([a-z]+)((?:_\d+)+)\b", lambda m: f"{m[1]}{letters}{m[2]}", text)
