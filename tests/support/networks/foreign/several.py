"""Networks of several branches, inputs and outputs."""

from __future__ import annotations

import numpy as np
import onnx

from tests.support.networks.foreign.writer import Network, Writer


def networks() -> list[Network]:
    return [
        Network("two towers", two_towers),
        Network("three towers", three_towers),
        Network("conditioned transformer", conditioned, "latent:2x64x128,time:2x128"),
        Network("encoder and decoder", encoder_decoder, "source:2x48x128,target:2x16x128"),
        Network("several inputs and outputs", several),
        Network("detector with queries", detector),
        Network("latents that read", latents, "tokens:1x512x128"),
    ]


def _tower(write: Writer, x: str, width: int, depth: int = 2) -> str:
    for _ in range(depth):
        x = write.block(x, width, 4)
    return write.pooled(write.layer_norm(x, width))


def _embedded(write: Writer, ids: str, width: int) -> str:
    found = write(f"Gather({write.random(512, width)}, {ids})")
    return write(f"Add({found}, {write.random(64, width)})")


def two_towers() -> onnx.ModelProto:
    """An image and a text, and how alike they are, as in CLIP."""
    write = Writer()
    image = write.linear(_tower(write, write.patches("image", 256, 16), 256), 256, 128)
    text = write.linear(_tower(write, _embedded(write, "ids", 256), 256), 256, 128)
    turned = write(f"Transpose<perm=[1,0]>({text})")
    write.lines.append(f"scores = MatMul({image}, {turned})")
    return write.model("float[2,3,224,224] image, int64[2,64] ids", "float[2,2] scores")


def three_towers() -> onnx.ModelProto:
    write = Writer()
    image = _tower(write, write.patches("image", 192, 16), 192)
    text = _tower(write, _embedded(write, "ids", 192), 192)
    sound = _tower(write, write.linear("sound", 80, 192), 192)
    joined = write(f"Concat<axis=-1>({image}, {text}, {sound})")
    write.lines.append(f"y = Identity({write.linear(joined, 576, 10)})")
    return write.model(
        "float[1,3,128,128] image, int64[1,64] ids, float[1,200,80] sound", "float[1,10] y"
    )


def conditioned() -> onnx.ModelProto:
    """Each block gets scale, shift and gate from the time step, as in diffusion transformers."""
    write, width, x = Writer(), 128, "latent"
    silu = write(f"Mul(time, {write('Sigmoid(time)')})")
    for _ in range(2):
        given = write(f"Unsqueeze({write.linear(silu, width, 6 * width)}, {write.give([1])})")
        parts = [write(f"Slice({given}, {write.give([i * width])}, {write.give([(i + 1) * width])},"
                       f" {write.give([2])})") for i in range(6)]  # fmt: skip
        for (scale, shift, gate), layer in zip((parts[:3], parts[3:]), "am", strict=True):
            normed = write.layer_norm(x, width)
            scaled = write(f"Mul({normed}, {write(f'Add({scale}, {write.give(np.float32(1))})')})")
            normed = write(f"Add({scaled}, {shift})")
            made = write.attention(normed, width, 4) if layer == "a" else write.mlp(normed, width)
            x = write(f"Add({x}, {write(f'Mul({made}, {gate})')})")
    write.lines.append(f"noise = Identity({write.linear(x, width, 32)})")
    return write.model(
        "float[batch,64,128] latent, float[batch,128] time", "float[batch,64,32] noise"
    )


def encoder_decoder() -> onnx.ModelProto:
    write, memory, x = Writer(), "source", "target"
    for _ in range(2):
        memory = write.block(memory, 128, 4)
    for _ in range(2):
        x = write.block(x, 128, 4, memory=memory)
    write.lines.append(f"logits = MatMul({write.layer_norm(x, 128)}, {write.random(128, 500)})")
    return write.model(
        "float[batch,long,128] source, float[batch,short,128] target",
        "float[batch,short,500] logits",
    )


def several() -> onnx.ModelProto:
    """Numbers, classes and a text in; a class, a number, an embedding and scores out."""
    write, width = Writer(), 128
    numbers = write(f"Unsqueeze({write.linear('numbers', 20, width)}, {write.give([1])})")
    classes = write(f"Gather({write.random(100, width)}, classes)")
    x = write(f"Concat<axis=1>({numbers}, {classes}, text)")
    for _ in range(2):
        x = write.block(x, width, 4)
    embedding = write.pooled(x)
    write.lines += [
        f"embedding = Identity({embedding})",
        f"label = MatMul({embedding}, {write.random(width, 7)})",
        f"number = MatMul({write(f'Relu({write.linear(embedding, width, width)})')},"
        f" {write.random(width, 1)})",
        f"scores = MatMul({x}, {write.random(width, 3)})",
    ]
    return write.model(
        "float[2,20] numbers, int64[2,6] classes, float[2,25,128] text",
        "float[2,7] label, float[2,1] number, float[2,128] embedding, float[2,32,3] scores",
    )


def detector() -> onnx.ModelProto:
    """Convolutions, an encoder, and queries that look for boxes, as in DETR."""
    write, width, x = Writer(), 128, "image"
    for inside, outside in ((3, 32), (32, 64), (64, width)):
        x = write(f"Relu({write.conv(x, inside, outside, strides=[2, 2], pads=[1, 1, 1, 1])})")
    memory = write(f"Transpose<perm=[0,2,1]>({write.reshape(x, 0, width, -1)})")
    memory = write.block(memory, width, 4)
    queries = write(f"Expand({write.random(1, 20, width)}, {write.give([1, 20, width])})")
    for _ in range(2):
        queries = write.block(queries, width, 4, memory=memory)
    boxes = write(f"Sigmoid({write.linear(write.mlp(queries, width), width, 4)})")
    write.lines += [f"boxes = Identity({boxes})", f"classes = MatMul({queries}, "
                    f"{write.random(width, 11)})"]  # fmt: skip
    return write.model("float[1,3,96,96] image", "float[1,20,4] boxes, float[1,20,11] classes")


def latents() -> onnx.ModelProto:
    """A few latents attend to many tokens, as in Perceiver."""
    write, width = Writer(), 128
    x = write(f"Expand({write.random(1, 32, width)}, {write.give([1, 32, width])})")
    for _ in range(2):
        seen = write.attention(write.layer_norm(x, width), width, 4, memory="tokens")
        x = write.block(write(f"Add({x}, {seen})"), width, 4)
    write.lines.append(f"y = Identity({write.linear(write.pooled(x), width, 10)})")
    return write.model("float[1,tokens,128] tokens", "float[1,10] y")
