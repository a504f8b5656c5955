"""Networks with an If, a Loop or a Scan, alone and within each other."""

from __future__ import annotations

import onnx

from tests.support.networks.foreign.writer import Network, Writer


def networks() -> list[Network]:
    return [
        Network(
            "decoder with and without its past",
            merged_decoder,
            "source:1x24x128,x:1x4x128,past:1x16x128",
            bodies=True,
        ),
        Network("If of two heads", two_heads, "x:2x64", bodies=True),
        Network("Loop that refines", refining, bodies=True),
        Network("If in a Loop", if_in_loop, bodies=True),
        Network("Loop in an If", loop_in_if, bodies=True),
        Network("Scan over time", over_time, bodies=True),
    ]


def merged_decoder() -> onnx.ModelProto:
    """An encoder, and a decoder of which an If takes one of two, as optimum merges them."""
    write, width = Writer(), 128
    memory = write.block("source", width, 4)
    branches = {}
    for branch, tokens in (("then", ""), ("else", "x")):
        inner = write.within(branch[0])
        tokens = tokens or inner("Concat<axis=1>(past, x)")
        seen = inner.attention(inner.affine("x", width), width, 4, memory=tokens)
        out = inner(f"Add(x, {seen})")
        out = inner(f"Add({out}, {inner.attention(out, width, 4, memory=memory)})")
        out = inner(f"Add({out}, {inner.mlp(out, width)})")
        kept = inner(f"Identity({tokens})")
        branches[branch] = inner.body(
            f"{branch}_graph", "", f"float[1,new,{width}] {out}, float[1,all,{width}] {kept}"
        )
    write.lines.append(
        f"h, present = If(use_past) <then_branch = {branches['then']},"
        f" else_branch = {branches['else']}>"
    )
    write.lines.append(f"logits = MatMul(h, {write.random(width, 300)})")
    return write.model(
        "float[1,long,128] source, float[1,new,128] x, float[1,past,128] past, bool use_past",
        "float[1,new,300] logits, float[1,all,128] present",
    )


def two_heads() -> onnx.ModelProto:
    """Two layers, and one of two heads of other depth."""
    write = Writer()
    x = write(f"Relu({write.linear('x', 64, 64)})")
    small, large = write.within("s"), write.within("l")
    small.lines.append(f"a = Identity({small.linear(x, 64, 5)})")
    deep = large(f"Relu({large.linear(x, 64, 128)})")
    large.lines.append(f"b = Identity({large.linear(deep, 128, 5)})")
    write.lines.append(
        f"h = If(quick) <then_branch = {small.body('one', '', 'float[batch,5] a')},"
        f" else_branch = {large.body('one', '', 'float[batch,5] b')}>"
    )
    write.lines.append("y = Softmax<axis=-1>(h)")
    return write.model("float[batch,64] x, bool quick", "float[batch,5] y")


def _loop(write: Writer, start: str, body: Writer, state: str, result: str) -> str:
    """A Loop of as many rounds as the input `rounds` says."""
    go = write("Constant<value = bool {1}>()")
    inner = body.body(
        f"{body.prefix}_body",
        f"int64 {body.prefix}_i, bool {body.prefix}_go, float[2,32,64] {state}",
        f"bool {body.prefix}_on, float[2,32,64] {result}",
    )
    return write(f"Loop(rounds, {go}, {start}) <body = {inner}>")


def _refined(inner: Writer, state: str) -> str:
    inner.lines.append(f"{inner.prefix}_on = Identity({inner.prefix}_go)")
    return inner.block(state, 64, 2)


def refining() -> onnx.ModelProto:
    """The same block as often as is asked for."""
    write = Writer()
    inner = write.within("r")
    x = _loop(write, write.linear("x", 64, 64), inner, "s", _refined(inner, "s"))
    write.lines.append(f"y = Identity({write.linear(x, 64, 8)})")
    return write.model("float[2,32,64] x, int64 rounds", "float[2,32,8] y")


def if_in_loop() -> onnx.ModelProto:
    """Rounds of a block or of a linear layer, as `deep` says."""
    write = Writer()
    inner = write.within("r")
    inner.lines.append(f"{inner.prefix}_on = Identity({inner.prefix}_go)")
    one, other = inner.within("d"), inner.within("w")
    deep, wide = one.block("s", 64, 2), other(f"Tanh({other.linear('s', 64, 64)})")
    made = inner(
        f"If(deep) <then_branch = {one.body('deep_one', '', f'float[2,32,64] {deep}')},"
        f" else_branch = {other.body('wide_one', '', f'float[2,32,64] {wide}')}>"
    )
    x = _loop(write, write.linear("x", 64, 64), inner, "s", inner(f"Add({made}, s)"))
    write.lines.append(f"y = Identity({write.linear(x, 64, 8)})")
    return write.model("float[2,32,64] x, int64 rounds, bool deep", "float[2,32,8] y")


def loop_in_if() -> onnx.ModelProto:
    """Rounds in one branch, a linear layer in the other, and an If in that."""
    write = Writer()
    x = write.linear("x", 64, 64)
    often, once = write.within("o"), write.within("n")
    inner = often.within("r")
    many = _loop(often, x, inner, "s", _refined(inner, "s"))
    one, two = once.within("p"), once.within("q")
    first = one.linear(x, 64, 64)
    second = two.linear(two(f"Relu({two.linear(x, 64, 32)})"), 32, 64)
    few = once(
        f"If(flat) <then_branch = {one.body('flat_one', '', f'float[2,32,64] {first}')},"
        f" else_branch = {two.body('deep_one', '', f'float[2,32,64] {second}')}>"
    )
    made = write(
        f"If(often) <then_branch = {often.body('often', '', f'float[2,32,64] {many}')},"
        f" else_branch = {once.body('once', '', f'float[2,32,64] {few}')}>"
    )
    write.lines.append(f"y = Identity({write.linear(made, 64, 8)})")
    return write.model("float[2,32,64] x, int64 rounds, bool often, bool flat", "float[2,32,8] y")


def over_time() -> onnx.ModelProto:
    """A state that each step of the sequence changes; all steps are returned."""
    write = Writer()
    x = write(f"Transpose<perm=[1,0,2]>({write.linear('x', 32, 64)})")
    inner = write.within("s")
    both = inner(f"Add({inner.linear('state', 64, 64)}, {inner.linear('step', 64, 64)})")
    after = inner(f"Tanh({both})")
    made = inner.linear(after, 64, 16)
    body = inner.body(
        "step_body", "float[2,64] state, float[2,64] step",
        f"float[2,64] {after}, float[2,16] {made}",
    )  # fmt: skip
    write.lines.append(f"last, all = Scan<num_scan_inputs=1, body = {body}>(start, {x})")
    write.lines.append(f"y = Identity({write.linear('all', 16, 8)})")
    return write.model("float[2,12,32] x, float[2,64] start", "float[2,64] last, float[12,2,8] y")
