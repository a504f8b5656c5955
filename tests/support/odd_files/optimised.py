"""What ONNX Runtime's own optimiser writes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx

from tests.support.odd_files.way import FOLD, behind, network, way

_LINE = np.ones(5, np.float32)
_IMAGE = "(float[B,4,6,6] x) => (float[B,5,6,6] y) {{ {0} }}"


def _behind(text: str, opset: int = 13, **constants: np.ndarray) -> onnx.ModelProto:
    return network(behind(text), opset=opset, constants=constants)


@way()
def layer_normalization_before_opset_17() -> onnx.ModelProto:
    return _behind("y = LayerNormalization<axis=-1>(z, s, s)", s=_LINE)


@way()
def layer_normalization_before_the_fold() -> onnx.ModelProto:
    text = "(float[B,3,4] x) => (float[B,3,5] y) { m = LayerNormalization<axis=-1>(x, a, b)"
    text += " n = MatMul(m, k) p = Mul(n, s) y = Add(p, s) }"
    return network(text, opset=13, constants={"s": _LINE})


@way()
def simplified_layer_normalization() -> onnx.ModelProto:
    return _behind("y = SimplifiedLayerNormalization<axis=-1>(z, s)", s=_LINE)


@way()
def skip_layer_normalization() -> onnx.ModelProto:
    return _behind("y = com.microsoft.SkipLayerNormalization(z, z, s, s)", s=_LINE)


@way()
def fused_mat_mul() -> onnx.ModelProto:
    return _behind("y = com.microsoft.FusedMatMul<transB=1>(z, w)", w=np.eye(5, dtype=np.float32))


@way()
def quick_gelu() -> onnx.ModelProto:
    return _behind("y = com.microsoft.QuickGelu<alpha=1.7>(z)")


@way()
def bias_gelu() -> onnx.ModelProto:
    return _behind("y = com.microsoft.BiasGelu(z, s)", s=_LINE)


@way()
def gelu_before_opset_20() -> onnx.ModelProto:
    return _behind("y = com.microsoft.Gelu(z)")


@way(x=np.ones((2, 4, 6, 6), np.float32))
def fused_conv() -> onnx.ModelProto:
    text = "m = Mul(x, g) n = Add(m, g) z = Conv(n, w, s)"
    text += ' y = com.microsoft.FusedConv<activation="Relu">(z, v)'
    constants = {
        "g": np.full((4, 1, 1), 2, np.float32),
        "w": np.ones((5, 4, 1, 1), np.float32),
        "s": _LINE,
        "v": np.ones((5, 5, 1, 1), np.float32),
    }
    return network(_IMAGE.format(text), opset=13, constants=constants)


@way()
def a_file_that_onnx_runtime_has_optimised() -> onnx.ModelProto:
    model = network(behind("y = Relu(z)"))
    return _optimised(model)


@way(i=np.ones((2, 4, 6, 6), np.float32))
def an_image_file_that_onnx_runtime_has_optimised() -> onnx.ModelProto:
    """Its convolutions are in blocks of channels, by operators of com.microsoft.nchwc."""
    text = "(float[B,3,4] x, float[B,4,6,6] i) => (float[B,3,5] y, float[B,5,6,6] o)"
    text += f" {{ {FOLD} c = Conv<pads=[1,1,1,1]>(i, w) r = Relu(c) o = Conv(r, v) }}"
    constants = {"w": np.ones((16, 4, 3, 3), np.float32), "v": np.ones((5, 16, 1, 1), np.float32)}
    return _optimised(network(text, opset=13, constants=constants))


def _optimised(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(path)
        providers = ["CPUExecutionProvider"]
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
        return onnx.load(path)
