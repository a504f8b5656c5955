"""Whatever the fold did not touch needs no evaluator: any operator, domain, body, opset and type.

onnx's reference evaluator lacks or mistakes these at the opsets that are named, and a proof that
ran the whole network stopped at each of them.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import NORM, build, feeds_for, to_bytes
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

A = {"a": (4,), "b": (4,), "w": (4, 5)}
PRODUCT = f"{NORM} z = MatMul(n, w)"
SCALE = {"s": np.array(0.05, np.float32), "k": np.int8([[3], [-7], [5], [90]]).repeat(5, axis=1)}
ZERO = {"o": np.array(0, np.int8)}
IMAGE = {"a": (4, 1, 1), "b": (4, 1, 1), "w": (6, 4, 1, 1)}
BODY = "body = l (int64 i, bool on, float[B,4] h) => (bool go, float[B,4] g)"
YES = "yes = Constant<value = bool {1}>()"


def case(name: str, signature: str, body: str, opset: int = 20, **constants: object) -> object:
    return pytest.param(signature, body, opset, constants, id=f"{name}, opset {opset}")


CASES = [
    case(
        "fewer indices than rows",
        "float[B,3,4] x, int64[1,64] t, int64[1,3] p => float[B,3,5] z, int64[1,3] q",
        f"{PRODUCT} q = GatherElements<axis=1>(t, p)",
        **A,
    ),
    case(
        "elements of a tensor behind the norm",
        "float[2,3,4] x, int64[2,1,5] p => float[2,1,5] q",
        f"{PRODUCT} q = GatherElements<axis=1>(z, p)",
        **A,
    ),
    case(
        "relative positions",
        "float[B,3,4] x => float[B,3,5] z, int64[1,3,4] q",
        f"{PRODUCT} r = Shape<start=1>(x) u = Concat<axis=0>(one, r) e = Expand(i, u)"
        " q = GatherElements<axis=2>(e, e)",
        **A,
        one=[1],
        i=[3, 2, 1, 0],
    ),
    *(
        case(
            "activations in int8",
            "float[B,3,4] x => float[B,3,5] y",
            "q = QuantizeLinear(x, s, o) d = DequantizeLinear(q, s, o) m = Mul(d, a) n = Add(m, b)"
            " y = MatMul(n, w)",
            opset,
            **A,
            s=SCALE["s"],
            **ZERO,
        )
        for opset in (11, 13, 18, 21)
    ),
    *(
        case(
            "a weight in int8",
            "float[B,3,4] x => float[B,3,5] y",
            "h = DequantizeLinear(k, s, o) p = MatMul(x, h) m = Mul(p, a) n = Add(m, b)"
            " y = MatMul(n, w)",
            opset,
            a=(5,),
            b=(5,),
            w=(5, 5),
            **SCALE,
            **ZERO,
        )
        for opset in (11, 17, 19)
    ),
    case(
        "a Loop that reads the norm's product",
        "float[B,4] x, int64 trips => float[B,4] y",
        f"{YES} {NORM} h0 = MatMul(n, w) y = Loop(trips, yes, h0) <{BODY}"
        " { go = Identity(on) g = Tanh(h) }>",
        a=(4,),
        b=(4,),
        w=(4, 4),
    ),
    case(
        "a Loop that captures it",
        "float[B,4] x, float[B,4] start, int64 trips => float[B,4] y",
        f"{YES} {NORM} c = MatMul(n, w) y = Loop(trips, yes, start) <{BODY}"
        " { go = Identity(on) u = Tanh(h) g = Add(u, c) }>",
        a=(4,),
        b=(4,),
        w=(4, 4),
    ),
    case(
        "a Loop beside the norm",
        "float[B,4] x, float[B,4] start, int64 trips => float[B,5] z, float[B,4] y",
        f"{YES} y = Loop(trips, yes, start) <{BODY} {{ go = Identity(on) g = Sin(h) }}> {PRODUCT}",
        **A,
    ),
    case(
        "a Scan",
        "float[3,4] x, float[4] start => float[4] last, float[3,4] y",
        f"{NORM} h0 = MatMul(n, w) last, y = Scan(start, h0) <num_scan_inputs = 1, "
        "body = s (float[4] state, float[4] row) => (float[4] next, float[4] out)"
        " { next = Add(state, row) out = Tanh(next) }>",
        a=(4,),
        b=(4,),
        w=(4, 4),
    ),
    *(
        case(
            "groups of channels",
            "float[B,4,6] x => float[B,4,5] y",
            "m = Mul(x, a) n = Add(m, b) z = MatMul(n, w)"
            " y = GroupNormalization<num_groups=2>(z, g, h)",
            opset,
            a=(6,),
            b=(6,),
            w=(6, 5),
            g=(4 if opset > 20 else 2,),
            h=(4 if opset > 20 else 2,),
        )
        for opset in (18, 21, 22)
    ),
    case(
        "pads on two sides",
        "float[B,4,8,8] z => float[B,6,8,8] y",
        "p = MaxPool<kernel_shape=[2,2], pads=[0,0,1,1]>(z) x = Add(p, z) m = Mul(x, a)"
        " n = Add(m, b) y = Conv(n, w)",
        **IMAGE,
    ),
    case(
        "pools that round up",
        "float[B,4,9,9] z => float[B,6,4,4] y",
        "x = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(z) m = Mul(x, a)"
        " n = Add(m, b) y = Conv(n, w)",
        **IMAGE,
    ),
    case(
        "local response",
        "float[1,4,6,6] z => float[1,6,6,6] y",
        "x = LRN<size=3>(z) m = Mul(x, a) n = Add(m, b) y = Conv(n, w)",
        **IMAGE,
    ),
    *(
        case(
            "a pooled head",
            "float[B,4,8,8] v => float[B,5] y",
            "c = Conv(v, q) p = GlobalAveragePool(c) x = Squeeze<axes=[-2,-1]>(p) m = Mul(x, a)"
            " n = Add(m, b) y = MatMul(n, w)",
            opset,
            **A,
            q=(4, 4, 1, 1),
        )
        for opset in (11, 12)
    ),
    case(
        "classes that are masked out",
        "float[B,4] x => float[B,5] y",
        f"{PRODUCT} l = Add(z, mask) y = LogSoftmax(l)",
        **A,
        mask=np.float32([0, 0, -1e4, 0, -1e4]),
    ),
    case(
        "Softmax over all axes from one on",
        "float[B,3,4] x => float[B,3,5] y",
        f"{PRODUCT} y = Softmax<axis=1>(z)",
        12,
        **A,
    ),
    case(
        "a recurrent layer",
        "float[3,B,4] x => float[3,1,B,2] y",
        f"{NORM} h = MatMul(n, w) y = GRU<hidden_size=2, linear_before_reset=1>(h, i, r)",
        **A,
        i=(1, 6, 5),
        r=(1, 6, 2),
    ),
]


@pytest.mark.parametrize(("signature", "body", "opset", "constants"), CASES)
def test_it_is_proven_and_onnx_runtime_gives_the_same(
    signature: str, body: str, opset: int, constants: dict[str, object]
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    original = build(signature, body, opset, **constants)  # type: ignore[arg-type]
    folded = fold_graph(original.clone())
    assert folded.report.folded
    assert prove(original, folded).passed
    feeds = feeds_for(original)
    before, after = (
        onnxruntime.InferenceSession(to_bytes(model)).run(None, feeds)
        for model in (original, folded.model)
    )
    for old, new in zip(before, after, strict=True):
        finite = np.abs(old[np.isfinite(old)])
        # A few dozen terms, each of weights that the fold rounded once.
        np.testing.assert_allclose(new, old, rtol=0, atol=64 * 2.0**-23 * finite.max(initial=1.0))


@pytest.mark.parametrize(
    ("domain", "op_type"), [("com.microsoft", "QuickGelu"), ("own", "Blend"), ("", "Gelu")]
)
def test_an_operator_of_any_domain(domain: str, op_type: str) -> None:
    original = build("float[B,3,4] x => float[B,3,5] y", f"{PRODUCT} y = Identity(z)", **A)
    node = original.graph[-1]
    node.op_type, node.domain = op_type, domain
    original.opset_imports[domain] = original.opset_imports.get(domain, 1)
    folded = fold_graph(original.clone())
    assert folded.report.folded and prove(original, folded).passed
    folded.model.graph[-1].attributes["alpha"] = ir.AttrFloat32("alpha", 2.0)
    (problem, *_) = prove(original, folded).problems
    assert problem.place == "Identity_3" and "'alpha'" in problem.text
