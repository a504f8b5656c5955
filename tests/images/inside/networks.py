"""Writes ln.onnx and un.onnx: a small pre-norm transformer with either norm, random weights.

Runs in an image, whose onnx is all it needs. The norm of UN is a scale and a shift per channel.
"""

import numpy as np
import onnx
from onnx import numpy_helper, parser

WIDTH, TOKENS, HEADS, BLOCKS = 96, 32, 4, 3

NORMS = {
    "ln": "{0}_n = LayerNormalization <axis=-1> ({0}, {1}_a, {1}_b)",
    "un": "{0}_m = Mul({0}, {1}_a)  {0}_n = Add({0}_m, {1}_b)",
}
ATTENTION = """
    {0}_qkv = MatMul({1}_n, {0}_wqkv)
    {0}_split = Reshape({0}_qkv, split)
    {0}_heads = Transpose <perm=[2, 0, 3, 1, 4]> ({0}_split)
    {0}_q4, {0}_k4, {0}_v4 = Split <axis=0, num_outputs=3> ({0}_heads)
    {0}_q = Squeeze({0}_q4, zero)  {0}_k = Squeeze({0}_k4, zero)  {0}_v = Squeeze({0}_v4, zero)
    {0}_kt = Transpose <perm=[0, 1, 3, 2]> ({0}_k)
    {0}_s = MatMul({0}_q, {0}_kt)  {0}_scaled = Mul({0}_s, scale)
    {0}_p = Softmax <axis=-1> ({0}_scaled)
    {0}_o = MatMul({0}_p, {0}_v)  {0}_t = Transpose <perm=[0, 2, 1, 3]> ({0}_o)
    {0}_r = Reshape({0}_t, join)  {0}_w = MatMul({0}_r, {0}_wo)
    {0}_mid = Add({0}_w, {1})
"""
MLP = """
    {0}_up = MatMul({0}_mid_n, {0}_w1)  {0}_upb = Add({0}_up, {0}_b1)  {0}_act = Gelu({0}_upb)
    {0}_down = MatMul({0}_act, {0}_w2)  {0}_out = Add({0}_down, {0}_mid)
"""


def network(norm: str) -> onnx.ModelProto:
    """x (batch, TOKENS, WIDTH) to y of the same shape."""
    rng = np.random.default_rng(0)
    weights: dict[str, np.ndarray] = {
        "split": np.array([0, 0, 3, HEADS, WIDTH // HEADS]),
        "join": np.array([0, 0, WIDTH]),
        "zero": np.array([0]),
        "scale": np.float32((WIDTH / HEADS) ** -0.5),
    }

    def linear(name: str, *shape: int) -> None:
        weights[name] = rng.normal(0, shape[0] ** -0.5, shape).astype(np.float32)

    def normalized(tensor: str, site: str) -> str:
        weights[f"{site}_a"] = rng.uniform(0.5, 1.5, WIDTH).astype(np.float32)
        weights[f"{site}_b"] = rng.normal(0, 0.1, WIDTH).astype(np.float32)
        return NORMS[norm].format(tensor, site)

    body, x = "", "x"
    for index in range(BLOCKS):
        block = f"b{index}"
        linear(f"{block}_wqkv", WIDTH, 3 * WIDTH)
        linear(f"{block}_wo", WIDTH, WIDTH)
        linear(f"{block}_w1", WIDTH, 4 * WIDTH)
        linear(f"{block}_b1", 4 * WIDTH)
        linear(f"{block}_w2", 4 * WIDTH, WIDTH)
        body += normalized(x, f"{block}_first") + ATTENTION.format(block, x)
        body += normalized(f"{block}_mid", f"{block}_second") + MLP.format(block)
        x = f"{block}_out"
    linear("head", WIDTH, WIDTH)
    body += normalized(x, "last") + f" y = MatMul({x}_n, head)"
    shape = f"float[batch,{TOKENS},{WIDTH}]"
    model = parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 20]> net ({shape} x) => ({shape} y) {{ {body} }}'
    )
    for name, array in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    for kind in NORMS:
        onnx.save(network(kind), f"{kind}.onnx")
