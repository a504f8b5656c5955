"""Ten networks, folded, for the corruptor: each has what the others lack."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy as np
import onnx_ir as ir

from tests.support.graphs import build
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.precision.convert import to_precision_graph
from un_deploy.graph.precision.names import Precision


@cache
def folded_network(name: str) -> tuple[ir.Model, Folded]:
    """One of `NETWORKS` and what the fold makes of it; whoever changes a model clones it."""
    original = NETWORKS[name]()
    return original, fold_graph(original.clone())


def bert_of_12_layers() -> ir.Model:
    """With its three tables, of width 8; post-norm, sizes left open."""
    from models.bert import Bert
    from tests.support.networks.exports import exported

    narrow = partial(Bert, vocab_size=40, max_positions=16, dim=8, depth=12, num_heads=2)
    return exported(narrow, "un", True, "torchscript")


def bert_in(precision: Precision) -> ir.Model:
    """Two layers, converted before it is folded."""
    from models.bert import Bert
    from tests.support.networks.exports import exported

    narrow = partial(Bert, vocab_size=40, max_positions=16, dim=8, depth=2, num_heads=2)
    model = exported(narrow, "un", True, "torchscript")
    to_precision_graph(model, precision)
    return model


def vit() -> ir.Model:
    """Pre-norm, static, its norms as the released module writes them: layout pairs cancel."""
    from models.vit import vit_micro
    from tests.support.networks.exports import exported

    return exported(vit_micro, "released", False, "torchscript")


def post_norm() -> ir.Model:
    """Attention and two-layer perceptrons, each norm behind its sum; one weight is shared."""
    text = ""
    for i in range(3):
        text += f"""
            q{i} = MatMul(x{i}, wq{i}_4_4) k{i} = MatMul(x{i}, wk{i}_4_4)
            v{i} = MatMul(x{i}, wv{i}_4_4) t{i} = Transpose<perm=[0,2,1]>(k{i})
            l{i} = MatMul(q{i}, t{i}) p{i} = Softmax<axis=-1>(l{i}) o{i} = MatMul(p{i}, v{i})
            f{i} = MatMul(o{i}, wo_4_4) g{i} = Add(f{i}, c{i}_4) s{i} = Add(x{i}, g{i})
            m{i} = Mul(s{i}, a{i}_4) n{i} = Add(m{i}, b{i}_4)
            h{i} = MatMul(n{i}, wh{i}_4_6) j{i} = Add(h{i}, cj{i}_6) r{i} = Relu(j{i})
            u{i} = MatMul(r{i}, wu{i}_6_4) e{i} = Add(u{i}, ce{i}_4) z{i} = Add(n{i}, e{i})
            y{i} = Mul(z{i}, ay{i}_4) x{i + 1} = Add(y{i}, by{i}_4)"""
    text += """
            first = Slice(x3, zero, one, one) flat = Squeeze(first, one)
            y = Gemm(flat, wg_4_5, cg_5)"""
    return build("float[B,T,4] x0 => float[B,5] y", text, **_weights(text), zero=[0], one=[1])


def with_bodies() -> ir.Model:
    """If and Loop beside folded norms; branches read tensors and constants of the graph around."""
    text = ""
    for i in range(2):
        text += f"""
            h{i} = MatMul(x{i}, w{i}_4_4) m{i} = Mul(h{i}, a{i}_4) n{i} = Add(m{i}, b{i}_4)
            i{i} = If(c) <
                then_branch = then{i} () => (float[B,3,4] to{i}) {{
                    t{i} = MatMul(n{i}, wt{i}_4_4) u{i} = Add(t{i}, ct{i}_4) s{i} = Sigmoid(u{i})
                    to{i} = Mul(s{i}, n{i})
                }},
                else_branch = other{i} () => (float[B,3,4] eo{i}) {{
                    e{i} = Constant<value = float[4] {{0.5, 1.25, -2.0, 3.0}}>()
                    d{i} = Sub(n{i}, e{i}) p{i} = Softmax<axis=-1>(d{i}) eo{i} = Add(p{i}, x{i})
                }}
            >
            j{i} = Reshape(i{i}, as_x) o{i} = Mul(j{i}, ao{i}_4) q{i} = Add(o{i}, bo{i}_4)
            r{i} = MatMul(q{i}, wr{i}_4_4) yes{i} = Constant<value = bool {{1}}>()
            l{i} = Loop(trip, yes{i}, r{i}) <
                body = step{i} (int64 turn{i}, bool before{i}, float[B,3,4] li{i})
                    => (bool after{i}, float[B,3,4] lo{i}) {{
                    after{i} = Identity(before{i}) lm{i} = MatMul(li{i}, wl{i}_4_4)
                    la{i} = Add(lm{i}, cl{i}_4) lo{i} = Tanh(la{i})
                }}
            >
            k{i} = Reshape(l{i}, as_x) x{i + 1} = Add(k{i}, r{i})"""
    text += " mm = Mul(x2, am_4) nn = Add(mm, bn_4) hh = MatMul(nn, wh_4_5) y = Add(hh, ch_5)"
    signature = "float[B,3,4] x0, bool c, int64 trip => float[B,3,5] y"
    return build(signature, text, **_weights(text), as_x=[-1, 3, 4])


def convolutions() -> ir.Model:
    """BatchNormalization behind, before and between grouped, padded and strided convolutions."""
    normed = [("h0", 4), ("h1", 4), ("r1", 4), ("h3", 6), ("h4", 3), ("f4", 3)]
    norms = [
        f"n{i} = BatchNormalization({x}, a{i}_{n}, b{i}_{n}, u{i}_{n}, av{i}_{n})"
        for i, (x, n) in enumerate(normed)
    ]
    text = f"""
        h0 = Conv<pads=[1,1,1,1], kernel_shape=[3,3]>(x, w0_4_3_3_3) {norms[0]} r0 = Relu(n0)
        h1 = Conv<pads=[1,1,1,1], group=2>(r0, w1_4_2_3_3, c1_4) {norms[1]}
        s1 = Add(n1, r0) r1 = Relu(s1) {norms[2]} h2 = Conv(n2, w2_6_4_1_1, c2_6) r2 = Relu(h2)
        h3 = Conv<group=6, dilations=[2,2], strides=[2,2]>(r2, w3_6_1_2_2) {norms[3]}
        r3 = LeakyRelu<alpha=0.1>(n3) h4 = ConvTranspose<strides=[2,2]>(r3, w4_6_3_2_2, c4_3)
        {norms[4]} p4 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(n4)
        g4 = GlobalAveragePool(p4) f4 = Flatten(g4) {norms[5]}
        y = Gemm<transB=1>(n5, w5_5_3, c5_5)"""
    return build("float[B,3,8,8] x => float[B,5] y", text, **_weights(text))


def pieces() -> ir.Model:
    """Two tables, and channels and tokens picked, cut, joined, transposed and merged."""
    text = """
        x0 = Gather(words_12_8, i) x1 = Gather(places_6_8, j) e = Add(x0, x1)
        m0 = Mul(e, a0_8) n0 = Add(m0, b0_8) h0 = MatMul(n0, w0_8_8)
        k0, k1 = Split<axis=2>(h0, halves) k2 = Sigmoid(k0) k3 = Mul(k2, k1)
        k4, k5 = Split<axis=2>(n0, halves) s0 = Concat<axis=2>(k3, k5)
        m1 = Mul(s0, a1_8) n1 = Add(m1, b1_8) d0 = Slice(n1, zero, last, one)
        g0 = Gather<axis=1>(d0, tokens) g1 = Gather<axis=2>(g0, order) g2 = MatMul(g1, w1_8_8)
        t0 = Reshape(g2, heads) t1 = Transpose<perm=[0,2,1,3]>(t0) t2 = Tanh(t1)
        t3 = Transpose<perm=[0,2,1,3]>(t2) t4 = Reshape(t3, joined) t5 = MatMul(t4, w2_8_8)
        s1 = Add(t5, g0) m2 = Mul(s1, a2_8) n2 = Add(m2, b2_8)
        f0 = Slice(n2, back, beyond, two, back) r0 = ReduceMean<keepdims=0>(f0, one)
        y = MatMul(r0, w3_8_5) z = MatMul(r0, w4_8_5)"""
    numbers = {
        "halves": [4, 4], "tokens": [2, 0, 1], "order": [3, 1, 0, 2, 7, 6, 5, 4],
        "heads": [0, 0, 2, 4], "joined": [0, 0, 8], "zero": [0], "one": [1], "two": [2],
        "last": [3], "back": [-1], "beyond": [-99],
    }  # fmt: skip
    signature = "int64[B,4] i, int64[B,4] j => float[B,5] y, float[B,5] z"
    return build(signature, text, **_weights(text), **numbers)


def quantised() -> ir.Model:
    """Products of 8-bit weights and activations, per tensor and per channel, and norms between."""
    text = ""
    for i in range(3):
        text += f"""
            xq{i} = QuantizeLinear(x{i}, sx, zx) xd{i} = DequantizeLinear(xq{i}, sx, zx)
            wd{i} = DequantizeLinear<axis=1>(w{i}, sw, zw) h{i} = MatMul(xd{i}, wd{i})
            j{i} = Add(h{i}, cj{i}_6) m{i} = Mul(j{i}, am{i}_6) n{i} = Add(m{i}, bn{i}_6)
            k{i} = MatMul(n{i}, wk{i}_6_6) r{i} = Relu(k{i}) rq{i} = QuantizeLinear(r{i}, sx, zx)
            rd{i} = DequantizeLinear(rq{i}, sx, zx) vd{i} = DequantizeLinear(v{i}, sx)
            g{i} = MatMul(rd{i}, vd{i}) s{i} = Add(g{i}, k{i}) e{i} = Mul(s{i}, ae{i}_6)
            z{i} = Add(e{i}, be{i}_6) x{i + 1} = MatMul(z{i}, wz{i}_6_6)"""
    text += " y = Gemm(x3, wy_6_5, cy_5)"
    rng = np.random.default_rng(0)
    numbers = {
        "sx": np.array(0.05, np.float32),
        "zx": np.array(3, np.int8),
        "sw": rng.uniform(0.01, 0.1, 6).astype(np.float32),
        "zw": np.array([0, 1, 2, 3, -1, -2], np.int8),
    }
    numbers |= {
        f"{n}{i}": rng.integers(-99, 99, (6, 6)).astype("i1") for n in "wv" for i in range(3)
    }
    return build("float[B,6] x0 => float[B,5] y", text, **_weights(text), **numbers)


def of_another_domain() -> ir.Model:
    """Operators that ONNX does not know, and a local function, between norms that fold."""
    text = ""
    for i in range(2):
        text += f"""
            h{i} = MatMul(x{i}, w{i}_6_6) k{i} = Add(h{i}, ck{i}_6) m{i} = Mul(k{i}, am{i}_6)
            n{i} = Add(m{i}, bn{i}_6) q{i} = com.microsoft.QuickGelu<alpha=1.7>(n{i})
            g{i} = MatMul(q{i}, wg{i}_6_6) u{i} = com.microsoft.BiasGelu(g{i}, cu{i}_6)
            s{i} = own.Blend(u{i}, q{i}) t{i} = Reshape(s{i}, as_x) d{i} = Mul(t{i}, ad{i}_6)
            v{i} = Add(d{i}, bv{i}_6) j{i} = MatMul(v{i}, wj{i}_6_6)
            l{i} = com.microsoft.FusedMatMul<transB=1, alpha=0.5>(j{i}, u{i}) p{i} = Softmax(l{i})
            o{i} = com.microsoft.FusedMatMul(p{i}, j{i})
            e{i} = com.microsoft.SkipLayerNormalization<epsilon=0.001>(o{i}, j{i}, ae{i}_6, be{i}_6)
            r{i} = Reshape(e{i}, as_x) f{i} = Mul(r{i}, af{i}_6) x{i + 1} = Add(f{i}, bf{i}_6)"""
    text += " y = MatMul(x2, wy_6_5)"
    blend = """} <domain: "own", opset_import: ["" : 20]> Blend (one, other) => (blended) {
        part = Constant<value = float {0.25}>() less = Mul(part, one) half = Tanh(other)
        blended = Add(less, half)"""
    numbers = {"as_x": [-1, 7, 6]}
    model = build("float[B,7,6] x0 => float[B,7,5] y", text + blend, **_weights(text), **numbers)
    model.opset_imports.update({"com.microsoft": 1, "own": 1})
    for function in model.functions.values():
        for node in function:
            node.name = f"{node.op_type}_{node.outputs[0].name}"
    return model


def _weights(text: str) -> dict[str, tuple[int, ...]]:
    """The weights that a graph's text names by their shapes: ``w_4_6`` is a matrix of 4 rows."""
    names = set(re.findall(r"\b[a-z]+\d*(?:_\d+)+\b", text))
    return {name: tuple(int(n) for n in name.split("_")[1:]) for name in sorted(names)}


NETWORKS: Mapping[str, Callable[[], ir.Model]] = {
    "bert of 12 layers": bert_of_12_layers,
    "vit": vit,
    "post-norm": post_norm,
    "bodies": with_bodies,
    "fp16": partial(bert_in, "fp16"),
    "bf16": partial(bert_in, "bf16"),
    "convolutions": convolutions,
    "pieces": pieces,
    "quantised": quantised,
    "another domain": of_another_domain,
}
