"""Where each operator would agree, and the graph does not."""

from __future__ import annotations

from tests.support.fuzzer.drawing.part import TOKENS, Written

_SWAP = "Transpose<perm=[0,2,1]>"
_NARROW = ("float", "float16", "bfloat16")  # in float64 enough digits are left
_MEAN = "ReduceMean<axes=[-1]>"

OF_SOLVER: dict[str, Written] = {
    "two norms and one that only scales": (
        "(float[B,S,4] x, float[B,S,4] z) => (float[B,S,4] y)",
        "m = Mul(x, a_4) k = Mul(z, ad_4) n = Add(k, b_4) s = Add(m, n) y = Sigmoid(s)",
    ),
    "a norm before and one behind a dead one": (
        TOKENS,
        f"p = Sigmoid(x) k = Mul(p, a_4) l = Add(k, b_4) n = {_SWAP}(l) r = Neg(n) "
        f"s = {_SWAP}(r) m = Mul(s, dead_4) t = {_SWAP}(m) u = Neg(t) v = {_SWAP}(u) "
        "z = Mul(v, ad_4) q = Add(z, c_4) y = Sigmoid(q)",
    ),
    "shifted far, and read in front": (
        TOKENS,
        "p = MatMul(x, w_4_4) m = Mul(p, a_4) n = Add(m, far_4) q = MatMul(p, v_4_4) "
        "y = Sub(q, n)",
        _NARROW,
    ),
    "shifted far, in front of an activation": (
        TOKENS,
        "p = MatMul(x, w_4_4) m = Mul(p, a_4) n = Add(m, far_4) q = MatMul(p, v_4_4) "
        "r = Sigmoid(n) y = Add(q, r)",
        _NARROW,
    ),
    "shifted far, and joined with a product": (
        "(float[B,S,4] x, bool[B,S,1] keep) => (float[B,S,4] y)",
        "s = Tanh(x) m = Mul(s, a_4) n = Add(m, far_4) q = MatMul(s, v_4_4) t = Where(keep, n, q) "
        "y = MatMul(t, w_4_4)",
        _NARROW,
    ),
    "shifted far, and joined with a constant": (
        "(float[B,S,4] x, bool[B,S,1] keep) => (float[B,S,4] y)",
        "s = Tanh(x) m = Mul(s, a_4) n = Add(m, far_4) t = Where(keep, n, c_4) "
        "y = MatMul(t, w_4_4)",
        _NARROW,
    ),
    "shifted far, in front of a sum": (
        TOKENS,
        "p = MatMul(x, w_4_4) m = Mul(p, one_4) n = Add(m, far_4) k = Pad(n, around) "
        "q = MatMul(k, v_4_4) r = Slice(q, first, last, first) s = Add(p, r) y = Tanh(s)",
        _NARROW,
    ),
    "a dead channel in front of a sum": (
        TOKENS,
        "p = MatMul(x, w_4_4) m = Mul(p, dead_4) n = Add(m, b_4) k = Pad(n, around) "
        "q = MatMul(k, v_4_4) r = Slice(q, first, last, first) s = Add(p, r) y = Tanh(s)",
    ),
    "nothing": (TOKENS, "y = Mul(x, one_4)"),
    "nothing between inputs and outputs": (
        "(float[B,S,4] own) => (float[B,S,4] y)", "y = Mul(own, one_4)",
    ),
    "five readers": (
        TOKENS,
        "m = Mul(x, a_4) n = Add(m, b_4) p = MatMul(n, w_4_4) q = MatMul(n, v_4_4) "
        "k = MatMul(n, u_4_4) l = MatMul(n, o_4_4) r = MatMul(n, q_4_4) "
        "c = Sum(p, q, k, l, r) y = Tanh(c)",
    ),
    "a large table": (
        TOKENS,
        "m = Mul(x, small_4) i = Identity(m) t = Add(i, much_1_1_4) r = Identity(t) "
        "y = MatMul(r, w_4_4)",
        ("float16",),
    ),
    "a norm of tokens in front of one that measures": (
        "(float[B,3,4] x) => (float[B,3,4] y)",
        f"k = Mul(x, a_3_1) u = {_MEAN}(k) d = Sub(k, u) q = Mul(d, d) v = {_MEAN}(q) "
        "e = Add(v, ae_1) s = Sqrt(e) y = Div(d, s)",
    ),
    "a small scale in front of small weights": (
        "(float[B,S,4] own) => (float[B,S,4] y)",
        "m = Mul(own, small_4) n = Add(m, b_4) y = MatMul(n, tiny_4_4)",
        ("float16",),
    ),
}  # fmt: skip
