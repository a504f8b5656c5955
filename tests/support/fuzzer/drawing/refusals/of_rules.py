"""Where the rule of an operator lets no scale or shift through."""

from __future__ import annotations

from tests.support.fuzzer.drawing.part import IMAGES, TOKENS, VECTORS, Written

_SAME = "kernel_shape=[3,3],pads=[1,1,1,1]"
_NORM = "m = Mul(x, a_4) n = Add(m, b_4)"
_OF_IMAGES = "m = Mul(x, a_4_1_1) n = Add(m, b_4_1_1)"
_IN_ROWS = "m = Mul(x, a_6_1) n = Add(m, b_6_1)"
_ZERO = "(float[B,3,4] x, int64[1] i) => (float[B,3,4] y)"
_MODULATED = (
    "e = Gemm<transB=1>(c, w_8_2, d_8) s, t = Split<axis=1, num_outputs=2>(e) "
    "u = Unsqueeze(s, first) v = Unsqueeze(t, first) o = Add(u, one_1) "
)
_MODULATION = "(float[B,3,4] x, float[B,2] c) => (float[B,3,4] y)"
_SINGLE = ("float",)

OF_RULES: dict[str, Written] = {
    "a slope that is scaled": (TOKENS, "m = Mul(x, a_4) s = Neg(m) p = PRelu(x, s) y = Neg(p)"),
    "Concat with what is of unknown size": (
        "(float[B,S,4] x, float[B,S,D4_1] z) => (float[B,S,4] y)",
        f"{_NORM} t = Concat<axis=2>(n, z) y = MatMul(t, w_8_4)",
    ),
    "Conv that pads": (IMAGES, f"{_OF_IMAGES} y = Conv<{_SAME}>(n, w_4_4_3_3)"),
    "ConvTranspose": (IMAGES, f"{_OF_IMAGES} y = ConvTranspose(n, w_4_4_1_1)"),
    "ConvTranspose by what is computed": (
        "(float[B,4,6,6] x, float[4,4,1,1] w) => (float[B,4,6,6] y)",
        f"{_OF_IMAGES} y = ConvTranspose(n, w)",
    ),
    "channels to pixels": (
        "(float[B,4,6,6] x) => (float[B,1,12,12] y)",
        f"{_OF_IMAGES} y = DepthToSpace<blocksize=2>(n)",
    ),
    "pixels of a norm of rows": (
        "(float[B,4,6,6] x) => (float[B,16,3,3] y)",
        f"{_IN_ROWS} y = SpaceToDepth<blocksize=2>(n)",
    ),
    "a quotient": (TOKENS, f"{_NORM} y = Div(c_1, n)"),
    "multiplied by nothing": (
        TOKENS,
        "p = MatMul(x, w_4_4) t = Mul(p, zero_1) m = Mul(t, a_4) y = Add(m, b_4)",
    ),
    "a table of two vectors": (
        "(float[B,1,4] x, float[B,3,1] z) => (float[B,3,4] y)",
        "k = Neg(x) l = Neg(z) p = Mul(k, l) m = Mul(p, a_3_4) y = Relu(m)",
    ),
    "modulation of a norm of tokens": (
        _MODULATION, _MODULATED + "m = Mul(x, a_3_1) n = Add(m, b_4) q = Mul(n, o) y = Add(q, v)",
    ),
    "modulation of a dead norm": (
        _MODULATION, _MODULATED + "m = Mul(x, dead_4) n = Add(m, b_4) q = Mul(n, o) y = Add(q, v)",
    ),
    "modulation in front of a norm": (
        _MODULATION, _MODULATED + "q = Mul(x, o) r = Add(q, v) m = Mul(r, a_4) y = Add(m, b_4)",
    ),
    "modulation by what a norm reads": (
        "(float[B,3,4] x, float[B,2] c) => (float[B,3,4] y, float[B,4] z)",
        _MODULATED + "q = Mul(x, o) y = Add(q, v) m = Mul(s, a_4) z = Relu(m)",
    ),
    "Slice of tokens from somewhere on": (
        "(float[B,3,4] x, int64[1] i) => (float[B,3,4] y)",
        "m = Mul(x, a_3_1) n = Add(m, b_3_1) z = Min(i, none) t = Slice(n, z, all, first) "
        "y = MatMul(t, w_4_4)",
    ),
    "Slice backwards": (
        TOKENS,
        "p = MatMul(x, w_4_4) t = Slice(p, last, back, last, last) m = Mul(t, a_4) "
        "y = Add(m, b_4)",
    ),
    "Slice along some axis": (
        _ZERO, f"{_NORM} z = Min(i, none) t = Slice(n, none, all, z) y = MatMul(t, w_4_4)",
    ),
    "Slice along some axes": (
        "(float[B,3,4] x, int64[D1_1] i) => (float[B,3,4] y)",
        f"{_NORM} z = Min(i, none) t = Slice(n, z, all) y = MatMul(t, w_4_4)",
    ),
    "Slice with some step": (
        _ZERO,
        f"{_NORM} z = Min(i, none) k = Max(z, first) t = Slice(n, none, all, last, k) "
        "y = MatMul(t, w_4_4)",
    ),
    "Gather of channels": (
        TOKENS,
        "p = MatMul(x, w_4_4) t = Gather<axis=2>(p, order) m = Mul(t, a_4) y = Add(m, b_4)",
    ),
    "Gather at places of unknown rank": (
        "(float[B,3,4] x, int64[1] i, int64[D1_1] j) => (float[B,1,4] y)",
        f"{_NORM} z = Min(i, none) r = Min(j, none) k = Reshape(z, r) t = Gather<axis=1>(n, k) "
        "y = MatMul(t, w_4_4)",
    ),
    "Gemm with a beta of zero": (VECTORS, f"{_NORM} y = Gemm<beta=0.0>(n, w_4_4, c_4)"),
    "Gemm with a table": (
        "(float[3,4] x) => (float[3,4] y)", f"{_NORM} y = Gemm(n, w_4_4, c_3_4)",
    ),
    "Gemm with a summand": (
        "(float[B,4] x, float[B,4] z) => (float[B,4] y)", f"{_NORM} y = Gemm(n, w_4_4, z)",
    ),
    "Cast of large numbers": (
        "(float[B,S,4] own) => (float[B,S,4] y)",
        "m = Mul(own, far_4) c = Cast<to=10>(m) d = Cast<to=1>(c) y = MatMul(d, w_4_4)",
    ),
    "Cast of what is shifted far": (
        "(float[B,S,4] own) => (float[B,S,4] y)",
        "m = Mul(own, a_4) n = Add(m, far_4) c = Cast<to=10>(n) d = Cast<to=1>(c) "
        "y = MatMul(d, w_4_4)",
    ),
    "Expand to some shape": (
        "(float[B,S,4] x, int64[3] i) => (float[B,S,4] y)",
        f"{_NORM} z = Min(i, none) k = Max(z, ones) t = Expand(n, k) y = MatMul(t, w_4_4)",
    ),
    "Expand in front of a norm of tokens": (
        "(float[B,1,4] x) => (float[B,3,4] y)",
        "p = MatMul(x, w_4_4) t = Expand(p, tall) m = Mul(t, a_3_4) y = Sigmoid(m)",
    ),
    "GatherND in some axes": (
        "(float[B,3,4] x, int64[1,D1_1] i) => (float[1,3,4] y)",
        f"{_NORM} z = Min(i, none) t = GatherND(n, z) y = MatMul(t, w_4_4)",
    ),
    "GatherND at places of unknown rank": (
        "(float[B,3,4] x, int64[1,1] i, int64[D2_1] j) => (float[1,3,4] y)",
        f"{_NORM} z = Min(i, none) r = Min(j, none) k = Reshape(z, r) t = GatherND(n, k) "
        "y = MatMul(t, w_4_4)",
    ),
    "GatherElements of a part": (
        "(float[1,3,4] x) => (float[1,1,4] y)",
        f"{_NORM} t = GatherElements<axis=1>(n, few) y = MatMul(t, w_3_4)",
    ),
    "GatherElements of channels": (
        "(float[1,3,4] x) => (float[1,1,4] y)",
        f"{_NORM} t = GatherElements<axis=2>(n, few) y = MatMul(t, w_3_4)",
    ),
    "GatherElements of unknown rank": (
        "(float[1,3,4] x, int64[D3_1] j) => (float[1,1,4] y)",
        f"{_NORM} r = Min(j, none) k = Reshape(few, r) t = GatherElements<axis=1>(n, k) "
        "y = MatMul(t, w_3_4)",
    ),
    "Einsum with a size that may be another": (
        "(float[B,S,D4_1] x) => (float[B,S,4] y)",
        'p = Einsum<equation="bsc,cd->bsd">(x, w_4_4) m = Mul(p, a_4) y = Add(m, b_4)',
    ),
    "Einsum with a diagonal": (
        "(float[B,4,4] x) => (float[B,4] y)",
        f'{_NORM} y = Einsum<equation="bcc,cd->bd">(n, w_4_4)',
    ),
    "Einsum that sums tokens": (
        "(float[B,S,4] x) => (float[B,4] y)",
        f'{_NORM} y = Einsum<equation="bsc,cd->bd">(n, w_4_4)',
    ),
    "Tile as often as something says": (
        "(float[B,3,4] x, int64[3] i) => (float[B,3,4] y)",
        f"{_NORM} z = Min(i, none) k = Max(z, ones) t = Tile(n, k) y = MatMul(t, w_4_4)",
    ),
    "Pad of channels": (
        "(float[B,3,4] x) => (float[B,3,6] y)",
        f'{_NORM} t = Pad<mode="edge">(n, beside) y = MatMul(t, w_6_6)',
    ),
    "Pad with zeros": (
        "(float[B,3,4] x) => (float[B,5,4] y)",
        f"{_NORM} t = Pad(n, around) y = MatMul(t, w_4_4)",
    ),
    "Pad with ones": (
        "(float[B,3,4] x) => (float[B,5,4] y)",
        "m = Mul(x, a_4) t = Pad(m, around, one_1) y = MatMul(t, w_4_4)",
    ),
    "Pad as wide as something": (
        "(float[B,3,4] x, int64[6] i) => (float[B,3,4] y)",
        f'{_NORM} z = Min(i, none) t = Pad<mode="edge">(n, z) y = MatMul(t, w_4_4)',
    ),
    "AveragePool that counts padding": (
        IMAGES, f"{_OF_IMAGES} t = AveragePool<{_SAME},count_include_pad=1>(n) "
        "y = Conv(t, w_4_4_1_1)",
    ),
    "MaxPool of a norm of rows": (IMAGES, f"{_IN_ROWS} t = MaxPool<{_SAME}>(n) y = Neg(t)"),
    "MaxPool turned around": (
        IMAGES, f"m = Mul(x, neg_4_1_1) t = MaxPool<{_SAME}>(m) y = Conv(t, w_4_4_1_1)",
    ),
    "MaxPool and its places": (
        IMAGES,
        f"{_OF_IMAGES} t, i = MaxPool<{_SAME}>(n) j = Cast<to=1>(i) y = Add(t, j)",
        _SINGLE,
    ),
    "a last window beyond the border": (
        "(float[B,4,6,6] x) => (float[B,4,3,3] y)",
        f"{_OF_IMAGES} t = AveragePool<kernel_shape=[3,3],strides=[2,2],ceil_mode=1,"
        "count_include_pad=1>(n) y = Conv(t, w_4_4_1_1)",
    ),
    "LayerNormalization of a norm": (
        TOKENS, f"{_NORM} t = Neg(n) y = LayerNormalization(t, ag_4, c_4)",
    ),
    "LayerNormalization by what is computed": (
        "(float[B,S,4] x, float[4] w) => (float[B,S,4] y)",
        "k = LayerNormalization(x, w, c_4) m = Mul(k, a_4) y = Sigmoid(m)",
    ),
    "LayerNormalization and its mean": (
        TOKENS,
        "k, u = LayerNormalization(x, ag_4) m = Mul(k, a_4) t = Sigmoid(m) y = Add(t, u)",
        _SINGLE,
    ),
    "LayerNormalization by one number": (
        TOKENS, "k = LayerNormalization(x, one_1) m = Mul(k, a_4) y = Sigmoid(m)",
    ),
    "LayerNormalization and a norm of tokens": (
        "(float[B,3,4] x) => (float[B,3,4] y)",
        "k = LayerNormalization(x, ag_4, c_4) m = Mul(k, a_3_1) n = Add(m, b_3_1) y = Sigmoid(n)",
    ),
    "LayerNormalization over several axes": (
        "(float[B,3,4] x) => (float[B,3,4] y)",
        "k = LayerNormalization<axis=1>(x, ag_3_4) m = Mul(k, a_4) n = Add(m, b_4) y = Sigmoid(n)",
    ),
    "RMSNormalization and a shift": (
        TOKENS, "k = RMSNormalization(x, ag_4) m = Mul(k, a_4) n = Add(m, b_4) y = Sigmoid(n)",
    ),
    "an RMS norm written out and a shift": (
        TOKENS,
        "q = Mul(x, x) v = ReduceMean<axes=[-1]>(q) e = Add(v, ae_1) s = Sqrt(e) z = Div(x, s) "
        "k = Mul(z, ag_4) t = Neg(k) m = Mul(t, a_4) n = Add(m, b_4) y = Sigmoid(n)",
    ),
    "ReduceSum of tokens": (
        "(float[B,S,4] x) => (float[B,1,4] y)",
        f"{_NORM} t = ReduceSum<axes=[1]>(n) y = MatMul(t, w_4_4)",
    ),
    "ReduceMean of channels": (TOKENS, f"{_NORM} t = ReduceMean<axes=[2]>(n) y = Sub(x, t)"),
    "ReduceSum along some axis": (
        "(float[B,3,4] x, int64[1] i) => (float[B,1,4] y)",
        f"{_NORM} z = Min(i, none) k = Max(z, first) t = ReduceSum(n, k) y = MatMul(t, w_4_4)",
    ),
    "ReduceMax turned around": (
        "(float[B,3,4] x) => (float[B,1,4] y)",
        "m = Mul(x, neg_4) t = ReduceMax<axes=[1]>(m) y = MatMul(t, w_4_4)",
    ),
    "Resize of what is inside alone": (
        "(float[B,4,6,6] x) => (float[B,4,12,12] y)",
        f'{_OF_IMAGES} t = Resize<mode="cubic",exclude_outside=1>(n, , by) y = Conv(t, w_4_4_1_1)',
        _SINGLE,
    ),
    "Resize of a norm of rows": (
        "(float[B,4,6,6] x) => (float[B,4,12,12] y)", f"{_IN_ROWS} y = Resize(n, , by)", _SINGLE,
    ),
    "Resize from some size": (
        "(float[B,4,D6_1,D6_2] x) => (float[B,4,12,12] y)",
        f"{_OF_IMAGES} t = Resize<axes=[2,3]>(n, , , double) y = Conv(t, w_4_4_1_1)",
        _SINGLE,
    ),
    "Resize that blurs": (
        "(float[B,4,6,6] x) => (float[B,4,3,3] y)",
        f'{_OF_IMAGES} t = Resize<mode="linear",antialias=1>(n, , half) y = Conv(t, w_4_4_1_1)',
        _SINGLE,
    ),
    "Resize to about": (
        "(float[B,4,6,6] x) => (float[B,4,7,7] y)",
        f'{_OF_IMAGES} t = Resize<mode="linear",coordinate_transformation_mode="align_corners">'
        "(n, , uneven) y = Conv(t, w_4_4_1_1)",
        _SINGLE,
    ),
    "Resize by some factors": (
        "(float[B,4,6,6] x, int64[1] i) => (float[B,4,6,6] y)",
        f"{_OF_IMAGES} z = Min(i, none) r = Max(z, four) "
        "o = ConstantOfShape(r) k = Cos(o) t = Resize(n, , k) y = Conv(t, w_4_4_1_1)",
        _SINGLE,
    ),
    "Resize, nearest between two": (
        "(float[B,4,6,6] x) => (float[B,4,9,9] y)",
        f"{_OF_IMAGES} t = Resize(n, , odd) y = Conv(t, w_4_4_1_1)",
        _SINGLE,
    ),
    "Tile of channels": (
        "(float[B,3,4] x) => (float[B,3,8] y)",
        "p = MatMul(x, w_4_4) t = Tile(p, twice) m = Mul(t, a_8) y = Add(m, b_8)",
    ),
    "Einsum that sums the tokens of a norm": (
        "(float[B,3,4] x) => (float[B,4] y)",
        'm = Mul(x, a_3_1) y = Einsum<equation="bsc,cd->bd">(m, w_4_4)',
    ),
    "MatMul and another way around it": (
        "(float[B,3,3] x) => (float[B,3,3] y)",
        "m = Mul(x, a_3_1) t = Transpose<perm=[0,2,1]>(m) k = Neg(m) p = MatMul(k, w_3_3) "
        "s = Add(t, p) y = Sigmoid(s)",
    ),
    "Resize to less, before opset 11": (
        "(float[B,4,6,6] x) => (float[B,4,3,3] y)",
        f"{_OF_IMAGES} t = Resize(n, half) y = Conv(t, w_4_4_1_1)",
        _SINGLE, (10, 10),
    ),
}  # fmt: skip
