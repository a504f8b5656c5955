"""Networks that join transformers with convolutions, recurrent layers, graphs and experts."""

from __future__ import annotations

import numpy as np
import onnx

from tests.support.networks.foreign.writer import Network, Writer


def networks() -> list[Network]:
    return [
        Network("windows with masks", windows),
        Network("experts by TopK", experts),
        Network("convolutions beside attention", conformer),
        Network("recurrent layers", recurrent),
        Network("language model with rotary embedding", rotary, "ids:2x32"),
        Network("convolutional U with attention", unet),
        Network("mixer of tokens", mixer),
        Network("linear attention by Einsum", linear_attention),
        Network("network on a graph", on_a_graph),
    ]


def windows() -> onnx.ModelProto:
    """Windows of 7x7 that are shifted, and masked where they wrap around, as in Swin."""
    write, width, x = Writer(), 96, ""
    x = write("Transpose<perm=[0,2,3,1]>(image)")
    mask = write.give(np.where(write.rng.random((16, 1, 49, 49)) < 0.3, -100.0, 0.0))
    for shifted in (False, True):
        rolled = x
        for axis in (1, 2) if shifted else ():
            cut, end, at = write.give([3]), write.give([99]), write.give([axis])
            tail = write(f"Slice({rolled}, {cut}, {end}, {at})")
            head = write(f"Slice({rolled}, {write.give([0])}, {cut}, {at})")
            rolled = write(f"Concat<axis={axis}>({tail}, {head})")
        parts = write.reshape(write.affine(rolled, width), 1, 4, 7, 4, 7, width)
        parts = write(f"Transpose<perm=[0,1,3,2,4,5]>({parts})")
        seen = write.attention(
            write.reshape(parts, 16, 49, width), width, 3, mask=mask if shifted else ""
        )
        seen = write(f"Transpose<perm=[0,1,3,2,4,5]>({write.reshape(seen, 1, 4, 4, 7, 7, width)})")
        x = write(f"Add({rolled}, {write.reshape(seen, 1, 28, 28, width)})")
        x = write(f"Add({x}, {write.mlp(write.affine(x, width), width)})")
    flat = write.pooled(write.reshape(x, 1, 784, width))
    write.lines.append(f"y = Identity({write.linear(flat, width, 10)})")
    return write.model("float[1,96,28,28] image", "float[1,10] y")


def experts() -> onnx.ModelProto:
    """All experts compute; the two that a token's router likes best are weighed in."""
    write, width, count = Writer(), 128, 4
    x = write(f"Add(x, {write.attention(write.layer_norm('x', width), width, 4)})")
    normed = write.layer_norm(x, width)
    routed = write(f"MatMul({normed}, {write.random(width, count)})")
    two = write.give([2])
    write.lines.append(f"best, chosen = TopK<axis=-1>({routed}, {two})")
    least = write(f"ReduceMin<keepdims=1>(best, {write.give([-1])})")
    kept = write(f"GreaterOrEqual({routed}, {least})")
    gates = write(f"Softmax({write(f'Where({kept}, {routed}, {write.give(np.float32(-1e4))})')})")
    wide = write(f"Unsqueeze({normed}, {write.give([1])})")
    hidden = write(f"Gelu({write(f'MatMul({wide}, {write.random(1, count, width, 256)})')})")
    made = write(f"MatMul({hidden}, {write.random(1, count, 256, width)})")
    turned = write(f"Unsqueeze({write(f'Transpose<perm=[0,2,1]>({gates})')}, {write.give([3])})")
    weighed = write(f"ReduceSum<keepdims=0>({write(f'Mul({made}, {turned})')}, {write.give([1])})")
    x = write(f"Add({x}, {weighed})")
    write.lines.append(f"y = MatMul({x}, {write.random(width, 16)})")
    return write.model("float[2,64,128] x", "float[2,64,16] y, int64[2,64,2] chosen")


def conformer() -> onnx.ModelProto:
    """A gated depthwise convolution over time beside the attention, for sound."""
    write, width = Writer(), 144
    x = write.conv("sound", 1, 32, strides=[2, 2], pads=[1, 1, 1, 1])
    x = write(f"Transpose<perm=[0,2,1,3]>({write(f'Relu({x})')})")
    x = write.linear(write.reshape(x, 1, 50, 1280), 1280, width)
    for _ in range(2):
        half = write(f"Mul({write.mlp(write.affine(x, width), width)}, "
                     f"{write.give(np.float32(0.5))})")  # fmt: skip
        x = write(f"Add({x}, {half})")
        x = write(f"Add({x}, {write.attention(write.affine(x, width), width, 4)})")
        wide = write(f"Transpose<perm=[0,2,1]>({write.affine(x, width)})")
        gated = write(f"Conv({wide}, {write.random(2 * width, width, 1)})")
        write.lines.append(f"{gated}a, {gated}b = Split<axis=1, num_outputs=2>({gated})")
        gated = write(f"Mul({gated}a, {write(f'Sigmoid({gated}b)')})")
        deep = write(f"Conv<group={width}, pads=[7,7]>({gated}, {write.random(width, 1, 15)})")
        deep = write(f"Mul({deep}, {write(f'Sigmoid({deep})')})")
        deep = write(f"Conv({deep}, {write.random(width, width, 1)})")
        x = write(f"Add({x}, {write(f'Transpose<perm=[0,2,1]>({deep})')})")
    write.lines.append(f"y = Identity({write.linear(x, width, 32)})")
    return write.model("float[1,1,100,80] sound", "float[1,50,32] y")


def recurrent() -> onnx.ModelProto:
    """A GRU in both directions, an LSTM, and attention over what they read."""
    write, size = Writer(), 64
    both = write(f"Transpose<perm=[1,0,2]>({write.linear('x', 32, size)})")
    gru = f"{write.random(2, 3 * size, size)}, {write.random(2, 3 * size, size)}"
    write.lines.append(f'g, gh = GRU<hidden_size={size}, direction="bidirectional">({both}, {gru})')
    both = write.reshape(write("Transpose<perm=[0,2,1,3]>(g)"), 12, 2, 2 * size)
    lstm = f"{write.random(1, 4 * size, 2 * size)}, {write.random(1, 4 * size, size)}"
    write.lines.append(f"l, lh, lc = LSTM<hidden_size={size}>({both}, {lstm})")
    x = write(f"Squeeze({write('Transpose<perm=[2,0,1,3]>(l)')}, {write.give([2])})")
    x = write.block(x, size, 4)
    write.lines.append(f"y = Identity({write.linear(x, size, 8)})")
    return write.model("float[2,12,32] x", "float[2,12,8] y")


def rotary() -> onnx.ModelProto:
    """Rotated queries and keys, a causal mask, RMS norms and gated layers, as in Llama."""
    write, width, heads, size = Writer(), 128, 4, 32
    x = write(f"Gather({write.random(500, width)}, ids)")
    length = write(f"Slice({write('Shape(ids)')}, {write.give([1])}, {write.give([2])})")
    angles = write.rng.uniform(-1, 1, (64, size))
    cos, sin = (
        write(f"Slice({write.give(table)}, {write.give([0])}, {length}, {write.give([0])})")
        for table in (np.cos(angles), np.sin(angles))
    )
    square = write(f"Concat<axis=0>({length}, {length})")
    lowest = write(f"Expand({write.give(np.float32(-3.4028234e38))}, {square})")
    mask = write(f"Trilu<upper=1>({lowest}, {write.give(1)})")

    def rms(x: str) -> str:
        mean = write(f"ReduceMean({write(f'Mul({x}, {x})')}, {write.give([-1])})")
        root = write(f"Sqrt({write(f'Add({mean}, {write.give(np.float32(1e-5))})')})")
        return write(f"Mul({write(f'Div({x}, {root})')}, {write.give(np.ones(width))})")

    def rotated(x: str) -> str:
        write.lines.append(f"{x}a, {x}b = Split<axis=-1, num_outputs=2>({x})")
        turned = write(f"Concat<axis=-1>({write(f'Neg({x}b)')}, {x}a)")
        return write(f"Add({write(f'Mul({x}, {cos})')}, {write(f'Mul({turned}, {sin})')})")

    for _ in range(2):
        normed = rms(x)
        q, k, v = (
            write.heads(write(f"MatMul({normed}, {write.random(width, width)})"), width, heads)
            for _ in "qkv"
        )
        k = write(f"Transpose<perm=[0,1,3,2]>({rotated(k)})")
        seen = write(f"Transpose<perm=[0,2,1,3]>({write.attend(rotated(q), k, v, size, mask)})")
        seen = write.reshape(seen, 0, -1, width)
        x = write(f"Add({x}, {write(f'MatMul({seen}, {write.random(width, width)})')})")
        normed = rms(x)
        gate, up = (write(f"MatMul({normed}, {write.random(width, 256)})") for _ in "gu")
        gate = write(f"Mul({gate}, {write(f'Sigmoid({gate})')})")
        down = write(f"MatMul({write(f'Mul({gate}, {up})')}, {write.random(256, width)})")
        x = write(f"Add({x}, {down})")
    write.lines.append(f"logits = MatMul({rms(x)}, {write.random(width, 500)})")
    return write.model("int64[batch,tokens] ids", "float[batch,tokens,500] logits")


def unet() -> onnx.ModelProto:
    """Down, attention in the middle, and up again beside what came down."""
    write, same = Writer(), [1, 1, 1, 1]
    first = write(f"Relu({write.conv('image', 3, 32, pads=same)})")
    second = write(f"Relu({write.conv(first, 32, 64, strides=[2, 2], pads=same)})")
    deep = write(f"Relu({write.conv(second, 64, 128, strides=[2, 2], pads=same)})")
    tokens = write(f"Transpose<perm=[0,2,1]>({write.reshape(deep, 1, 128, 64)})")
    tokens = write(f"Transpose<perm=[0,2,1]>({write.block(tokens, 128, 4)})")
    up = write.reshape(tokens, 1, 128, 8, 8)
    up = write(f"ConvTranspose<strides=[2, 2]>({up}, {write.random(128, 64, 2, 2)})")
    up = write(f"Relu({write.conv(write(f'Concat<axis=1>({up}, {second})'), 128, 64, pads=same)})")
    sizes = write.give(np.array([1, 1, 2, 2], np.float32))
    up = write(f'Resize<mode="nearest">({up}, , {sizes})')
    joined = write(f"Concat<axis=1>({up}, {first})")
    write.lines.append(f"y = Identity({write.conv(joined, 96, 3, pads=same)})")
    return write.model("float[1,3,32,32] image", "float[1,3,32,32] y")


def mixer() -> onnx.ModelProto:
    """Linear layers over the tokens and over the channels in turn, without attention."""
    write, width, tokens = Writer(), 128, 64
    x = write.patches("image", width, 8)
    for _ in range(2):
        turned = write(f"Transpose<perm=[0,2,1]>({write.layer_norm(x, width)})")
        mixed = write(f"Transpose<perm=[0,2,1]>({write.mlp(turned, tokens, 2)})")
        x = write(f"Add({x}, {mixed})")
        x = write(f"Add({x}, {write.mlp(write.layer_norm(x, width), width)})")
    pooled = write.pooled(x)
    write.lines.append(f"y = Gemm({pooled}, {write.random(width, 10)}, {write.random(10)})")
    return write.model("float[2,3,64,64] image", "float[2,10] y")


def linear_attention() -> onnx.ModelProto:
    """Keys and values are summed over the tokens first."""
    write, width, x = Writer(), 128, "x"
    for _ in range(2):
        normed = write.affine(x, width)
        q, k, v = (write.reshape(write.linear(normed, width, width), 0, -1, 4, 32) for _ in "qkv")
        q, k = write(f"Softmax<axis=-1>({q})"), write(f"Softmax<axis=1>({k})")
        summed = write(f'Einsum<equation="bnhd,bnhe->bhde">({k}, {v})')
        seen = write(f'Einsum<equation="bnhd,bhde->bnhe">({q}, {summed})')
        seen = write.linear(write.reshape(seen, 0, -1, width), width, width)
        x = write(f"Add({x}, {seen})")
        x = write(f"Add({x}, {write.mlp(write.affine(x, width), width)})")
    write.lines.append(f"y = Identity({write.linear(x, width, 16)})")
    return write.model("float[2,100,128] x", "float[2,100,16] y")


def on_a_graph() -> onnx.ModelProto:
    """Each layer sums what the neighbours send; edges are an adjacency of ones and zeros."""
    write, x = Writer(), "nodes"
    degree = write(f"ReduceSum(edges, {write.give([-1])})")
    shared = write(f"Div(edges, {write(f'Add({degree}, {write.give(np.float32(1))})')})")
    for _ in range(3):
        sent = write(f"MatMul({shared}, {write.linear(x, 64, 64)})")
        own = write.linear(x, 64, 64)
        x = write(f"Relu({write(f'Add({own}, {sent})')})")
    write.lines.append(f"y = Identity({write.linear(write.pooled(x), 64, 3)})")
    return write.model("float[1,200,64] nodes, float[1,200,200] edges", "float[1,3] y")
