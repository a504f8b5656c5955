"""What graphs are made of: examples of every rule, blocks of networks, and what no norm passes."""

from __future__ import annotations

from functools import cache

import onnx_ir as ir

from tests.support.fuzzer.drawing.part import IMAGES as _IMAGES
from tests.support.fuzzer.drawing.part import TOKENS as _TOKENS
from tests.support.fuzzer.drawing.part import VECTORS as _VECTORS
from tests.support.fuzzer.drawing.part import Part, block
from tests.support.fuzzer.drawing.refusals.every import refusals
from un_deploy.graph.fold.rules import rules

_SWAP = "Transpose<perm=[0,2,1]>"
_MEAN = "ReduceMean<axes=[-1]>"
_SAME = "kernel_shape=[3,3],pads=[1,1,1,1]"
_INTEGERS = {"heads": [0, 0, 2, 2], "joined": [0, 0, 4], "last": [-1], "halves": [2, 2]}
_INTEGERS |= {"groups": [0, 2, 2, 6, 6], "ungrouped": [0, 4, 6, 6], "back": [-9], "channel": [-1]}
_INTEGERS |= {"around": [0, 1, 0, 0, 1, 0], "one": [1]}
_INTEGERS |= {"rows": [-1, 4], "order": [3, 1, 0, 2], "pads": [0, 0, 1, 1, 0, 0, 1, 1]}

#: Signature and operators; the name of a weight tells its shape, those with an a are positive.
_BLOCKS = {
    "norm of tokens": (_TOKENS, "m = Mul(x, a_4) y = Add(m, b_4)"),
    "norm of images": (_IMAGES, "y = BatchNormalization(x, a_4, b_4, c_4, av_4)"),
    "norm of vectors": (_VECTORS, "m = Mul(a_4, x) y = Sub(m, b_4)"),
    "linear": (_TOKENS, "p = MatMul(x, w_4_4) y = Add(b_4, p)"),
    "linear, no bias": (_TOKENS, "y = MatMul(x, w_4_4)"),
    "linear of images": (_IMAGES, "y = Conv(x, w_4_4_1_1)"),
    "linear of vectors": (_VECTORS, "y = Gemm(x, w_4_4, b_4)"),
    "divided": (
        _TOKENS,
        "k = Sub(x, b_4) l = Div(k, av_4) m = Mul(l, a_4) n = Add(m, c_4) y = MatMul(n, w_4_4)",
    ),
    "scale": (_TOKENS, "p = MatMul(x, w_4_4) n = Mul(p, a_4) y = Relu(n)"),
    "LayerScale": (_TOKENS, "p = MatMul(x, w_4_4) q = Add(p, b_4) n = Mul(q, a_4) y = Add(x, n)"),
    "UN as released": (
        _TOKENS,
        f"t = {_SWAP}(x) m = Mul(t, a_4_1) k = Add(m, b_1_4_1) n = {_SWAP}(k) y = MatMul(n, w_4_4)",
    ),
    "UN as released, behind": (
        _TOKENS,
        f"p = MatMul(x, w_4_4) t = {_SWAP}(p) m = Mul(t, a_4_1) k = Add(m, b_4_1) y = {_SWAP}(k)",
    ),
    "UN in four axes": (
        _TOKENS,
        f"p = MatMul(x, w_4_4) t = {_SWAP}(p) u = Unsqueeze<axes=[3]>(t) m = Mul(u, a_4_1_1) "
        f"k = Add(m, b_4_1_1) s = Squeeze<axes=[3]>(k) y = {_SWAP}(s)",
    ),
    "BatchNormalization of tokens": (
        _TOKENS,
        f"p = MatMul(x, w_4_4) t = {_SWAP}(p) k = BatchNormalization(t, a_4, b_4, c_4, av_4) "
        f"n = {_SWAP}(k) r = Relu(n) y = MatMul(r, v_4_4)",
    ),
    "BatchNormalization of vectors": (
        _VECTORS,
        "p = Gemm<transB=1,alpha=0.5>(x, w_4_4, d_4) "
        "n = BatchNormalization<epsilon=0.001>(p, a_4, b_4, c_4, av_4) y = Relu(n)",
    ),
    "LayerNormalization written out": (
        _TOKENS,
        f"u = {_MEAN}(x) d = Sub(x, u) q = Mul(d, d) v = {_MEAN}(q) e = Add(v, ae_1) s = Sqrt(e) "
        "z = Div(d, s) m = Mul(z, a_4) n = Add(m, b_4) y = MatMul(n, w_4_4)",
    ),
    "LayerNormalization": (
        _TOKENS,
        "k = LayerNormalization(x, a_4, b_4) m = Mul(k, ad_4) n = Add(m, c_4) y = MatMul(n, w_4_4)",
    ),
    "RMS norm written out": (
        _TOKENS,
        f"q = Mul(x, x) v = {_MEAN}(q) e = Add(v, ae_1) s = Sqrt(e) z = Div(x, s) "
        "n = Mul(z, a_4) y = MatMul(n, w_4_4)",
    ),
    "RMSNormalization": (
        _TOKENS,
        "k = RMSNormalization(x, a_4) m = Mul(k, ad_4) n = Add(m, c_4) y = MatMul(n, w_4_4)",
    ),
    "attention": (
        _TOKENS,
        "m = Mul(x, a_4) n = Add(m, b_4) q = MatMul(n, w_4_4) k = MatMul(n, u_4_4) "
        "v = MatMul(n, v_4_4) qh = Reshape(q, heads) qt = Transpose<perm=[0,2,1,3]>(qh) "
        "kh = Reshape(k, heads) kt = Transpose<perm=[0,2,3,1]>(kh) vh = Reshape(v, heads) "
        "vt = Transpose<perm=[0,2,1,3]>(vh) s = MatMul(qt, kt) f = Mul(s, a_1) "
        "p = Softmax<axis=-1>(f) o = MatMul(p, vt) ot = Transpose<perm=[0,2,1,3]>(o) "
        "j = Reshape(ot, joined) z = MatMul(j, o_4_4) g = Mul(z, ag_4) y = Add(x, g)",
    ),
    "MLP": (
        _TOKENS,
        "m = Mul(x, a_4) n = Add(m, b_4) p = MatMul(n, w_4_8) q = Add(p, b_8) e = Erf(q) "
        "f = Add(e, a_1) g = Mul(q, f) h = MatMul(g, v_8_4) j = Add(h, c_4) y = Add(j, x)",
    ),
    "post-norm": (
        _TOKENS,
        "p = MatMul(x, w_4_4) q = Add(p, b_4) s = Add(x, q) m = Mul(s, a_4) n = Add(m, c_4) "
        "f = MatMul(n, v_4_4) g = Relu(f) h = MatMul(g, u_4_4) t = Add(n, h) k = Mul(t, ad_4) "
        "l = Add(k, d_4) y = MatMul(l, o_4_4)",
    ),
    "embedding": (
        "(int64[B,3] ids) => (float[B,3,4] y)",
        "g = Gather(t_9_4, ids) p = Add(g, p_1_3_4) m = Mul(p, a_4) n = Add(m, b_4) "
        "y = MatMul(n, w_4_4)",
    ),
    "in double": (
        _TOKENS,
        "p = MatMul(x, w_4_4) m = Mul(p, a_4) i = Cast<to=11>(m) j = Neg(i) y = Cast<to=1>(j)",
    ),
    "read twice": (
        _TOKENS,
        "p = MatMul(x, w_4_4) m = Mul(p, a_4) n = Add(m, b_4) q = MatMul(n, v_4_4) y = Add(q, n)",
    ),
    "rows": (
        "(float[B,3,4] x) => (float[R,4] y)",
        "r = Reshape(x, rows) m = Mul(r, a_4) n = Add(m, b_4) y = Gemm<beta=2.0>(n, w_4_4, c_4)",
    ),
    "computed sizes": (
        _TOKENS,
        "m = Mul(x, a_4) n = Add(m, b_4) s = Shape(x) r = Reshape(n, rows) p = MatMul(r, w_4_4) "
        "y = Reshape(p, s)",
    ),
    "halves": (
        _TOKENS,
        "m = Mul(x, a_4) n = Add(m, b_4) k, l = Split<axis=2>(n, halves) c = Concat<axis=2>(l, k) "
        "y = MatMul(c, w_4_4)",
    ),
    "reordered": (
        _TOKENS,
        "m = Mul(x, a_4) n = Add(m, b_4) s = Slice(n, last, back, channel, last) "
        "g = Gather<axis=2>(s, order) y = MatMul(g, w_4_4)",
    ),
    "widened by the norm": (
        "(float[B,1,4] x) => (float[B,3,4] y)",
        "m = Mul(x, a_3_4) n = Add(m, b_4) y = MatMul(n, w_4_4)",
    ),
    "norm over tokens": (
        "(float[B,3,4] x) => (float[B,3,4] y)",
        "p = MatMul(x, w_4_4) m = Mul(p, a_3_1) n = Add(b_3_4, m) k = Mul(n, a_4) "
        "y = MatMul(k, v_4_4)",
    ),
    "with itself": (
        _TOKENS,
        "m = Mul(x, a_4) n = Add(m, b_4) s = Add(n, n) c = Concat<axis=2>(s, n) "
        "y = MatMul(c, w_8_4)",
    ),
    "padded in a branch": (
        _TOKENS,
        "p = MatMul(x, w_4_4) q = Add(p, c_4) m = Mul(q, a_4) n = Add(m, b_4) k = Pad(n, around) "
        "f = MatMul(k, v_4_4) g = Slice(f, one, channel, one) s = Add(q, g) t = Tanh(s) "
        "y = MatMul(t, u_4_4)",
    ),
    "masked in a branch": (
        "(float[B,S,4] x, float[B,S,1] mask) => (float[B,S,4] y)",
        "p = MatMul(x, w_4_4) q = Tanh(p) k = MatMul(q, u_4_4) m = Mul(k, a_4) n = Add(m, b_4) "
        "r = Mul(n, mask) f = MatMul(r, v_4_4) s = Sub(f, k) y = Erf(s)",
    ),
    "gated": (
        _TOKENS,
        "p = MatMul(x, w_4_4) m = Mul(p, a_4) n = Add(m, b_4) q = MatMul(n, v_4_4) "
        "g = Sigmoid(q) y = Mul(g, n)",
    ),
    "Conv": (
        _IMAGES,
        f"p = Conv<{_SAME}>(x, w_4_4_3_3) n = BatchNormalization(p, a_4, b_4, c_4, av_4) "
        f"r = Relu(n) y = Conv<{_SAME}>(r, v_4_4_3_3, d_4)",
    ),
    "Conv before": (
        _IMAGES,
        f"n = BatchNormalization(x, a_4, b_4, c_4, av_4) p = Conv(n, w_4_4_1_1) q = Relu(p) "
        f"t = Conv<{_SAME},group=4>(q, w_4_1_3_3) m = Mul(t, a_4_1_1) y = Add(x, m)",
    ),
    "excited": (
        _IMAGES,
        f"p = Conv<{_SAME}>(x, w_4_4_3_3) n = BatchNormalization(p, a_4, b_4, c_4, av_4) "
        "g = GlobalAveragePool(n) k = Conv(g, w_4_4_1_1, d_4) s = Sigmoid(k) y = Mul(n, s)",
    ),
    "shuffled": (
        _IMAGES,
        "g = Reshape(x, groups) t = Transpose<perm=[0,2,1,3,4]>(g) u = Reshape(t, ungrouped) "
        "m = Mul(u, a_4_1_1) n = Add(m, b_4_1_1) y = Conv<group=2>(n, w_4_2_1_1, c_4)",
    ),
    "pooled": (
        _IMAGES,
        f"m = MaxPool<{_SAME}>(x) n = BatchNormalization(m, a_4, b_4, c_4, av_4) "
        f"k = AveragePool<{_SAME}>(n) y = Conv(k, w_4_4_1_1)",
    ),
    "masked": (
        "(float[B,3,4] x) => (float[B,3,4] y)",
        "m = Mul(x, a_4) n = Add(m, b_4) q = MatMul(n, w_4_4) k = MatMul(n, u_4_4) "
        f"t = {_SWAP}(k) s = MatMul(q, t) r = Add(s, inf_3_3) p = Softmax<axis=-1>(r) "
        "o = MatMul(p, n) y = MatMul(o, v_4_4)",
    ),
    "tied": (
        "(int64[B,S] ids) => (float[B,S,9] y)",
        "g = Gather(t_9_4, ids) m = Mul(g, a_4) n = Add(m, b_4) "
        "w = Transpose<perm=[1,0]>(t_9_4) y = MatMul(n, w)",
    ),
    "no batch": (
        "(float[4] x) => (float[4] y)",
        "p = MatMul(x, w_4_4) m = Mul(p, a_4) n = Add(m, b_4) r = Relu(n) k = Mul(r, ad_4) "
        "y = MatMul(k, v_4_4)",
    ),
    "five axes": (
        "(float[B,2,1,3,4] x) => (float[B,2,3,1,4] y)",
        "p = MatMul(x, w_4_4) m = Mul(p, a_2_1_1_4) n = Add(m, b_4) "
        "t = Transpose<perm=[0,1,3,2,4]>(n) y = Mul(t, ad_4)",
    ),
    "volume": (
        "(float[B,4,3,3,3] x) => (float[B,4,2,2,2] y)",
        "n = BatchNormalization(x, a_4, b_4, c_4, av_4) p = Conv(n, w_4_4_2_2_2) "
        "y = InstanceNormalization(p, ad_4, d_4)",
    ),
    "head": (
        "(float[B,4,6,6] x) => (float[B,4] y)",
        "n = BatchNormalization(x, a_4, b_4, c_4, av_4) g = ReduceMean<axes=[2,3],keepdims=0>(n) "
        "p = Gemm(g, w_4_4, d_4) y = Mul(p, ad_4)",
    ),
    "flattened": (
        "(float[B,4,6,6] x) => (float[B,4] y)",
        "n = BatchNormalization(x, a_4, b_4, c_4, av_4) f = Flatten(n) y = Gemm(f, w_144_4, d_4)",
    ),
    "padded": (
        _IMAGES,
        "q = Pad(x, pads) n = BatchNormalization(q, a_4, b_4, c_4, av_4) r = Conv(n, w_4_4_3_3) "
        "m = Mul(r, ad_4_1_1) k = Pad(m, pads) y = Conv(k, v_4_4_3_3)",
    ),
    "Conv of tokens": (
        _TOKENS,
        f"m = Mul(x, a_4) n = Add(m, b_4) t = {_SWAP}(n) c = Conv(t, w_4_4_1, c_4) y = {_SWAP}(c)",
    ),
}


@cache
def parts() -> tuple[Part, ...]:
    """The rules' examples, blocks of networks, and what no norm passes."""
    shown = [
        Part(type(rule).__name__, ir.to_proto(model))
        for rule in rules()
        for model in rule.examples()
    ]
    blocks = (Part(name, block(*given, _INTEGERS)) for name, given in _BLOCKS.items())
    return (*shown, *blocks, *refusals())
