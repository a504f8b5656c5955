"""A small model that graphs are put together from, and how one is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.defs
import onnx.numpy_helper
import onnx_ir as ir

from tests.support.fuzzer.drawing.spelling import is_known, respelled
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.model.mend import OLDEST_OPSET

_OPSETS = (OLDEST_OPSET, onnx.defs.onnx_opset_version())

#: Signature and operators of a part; where it is not for all, also its types, and its opsets.
Written = (
    tuple[str, str]
    | tuple[str, str, tuple[str, ...]]
    | tuple[str, str, tuple[str, ...], tuple[int, int]]
)

#: Signatures of parts.
TOKENS = "(float[B,S,4] x) => (float[B,S,4] y)"
IMAGES = "(float[B,4,6,6] x) => (float[B,4,6,6] y)"
VECTORS = "(float[B,4] x) => (float[B,4] y)"
#: Those that are computed in float32 and not in float64, by ONNX Runtime.
_SINGLE = {"Conv", "ConvTranspose", "Erf", "InstanceNormalization"}
_SINGLE |= {"LeakyRelu", "PRelu", "Resize", "Upsample"}


@dataclass(frozen=True)
class Part:
    """A small model with float32 weights.

    Attributes:
        name: its rule's, or what it is.
        model: with float32 weights, which are drawn anew.
        types: in which it may be; all where there are none.
        opsets: the first and the last in which it may be.
    """

    name: str
    model: onnx.ModelProto
    types: tuple[str, ...] = ()
    opsets: tuple[int, int] = _OPSETS

    def suits(self, opset: int, dtype: str, batch: int | None) -> bool:
        """Whether its operators are there at this opset, and ONNX Runtime has them in this type.

        `batch` is one of which it has to run; None: any, of which one will do.
        """
        if self.types and dtype not in self.types:
            return False
        if not self.opsets[0] <= opset <= self.opsets[1]:
            return False
        nodes = self.model.graph.node
        if dtype == "double" and any(node.op_type in _SINGLE for node in nodes):
            return False
        if dtype == "bfloat16" and any(node.op_type == "Einsum" for node in nodes):
            return False  # ONNX has none
        return self._exists_at(opset) and self._takes_batch(batch)

    def _exists_at(self, opset: int) -> bool:
        arrays = {t.name: onnx.numpy_helper.to_array(t) for t in self.model.graph.initializer}
        for node in self.model.graph.node:
            spelled, extra = respelled(node, arrays, opset)
            if extra is not None:
                spelled.input.append("axes")
            if not is_known(spelled, opset):
                return False
        return True

    def _takes_batch(self, batch: int | None) -> bool:
        """The class token of Join's example is stored for a batch of 2."""
        tokens = [tensor for tensor in self.model.graph.initializer if tensor.name == "cls"]
        return batch is None or all(tensor.dims[0] == batch for tensor in tokens)


def block(
    signature: str,
    body: str,
    integers: Mapping[str, object],
    factors: Mapping[str, list[float]] | None = None,
) -> onnx.ModelProto:
    """A model from its text; the name of a weight tells its shape, those with an a are positive.

    Args:
        signature: ``(float[B,S,4] x) => (float[B,S,4] y)``.
        body: one operator after another.
        integers: by the names that a body may use.
        factors: of a Resize, by name.
    """
    words = set(re.findall(r"\w+", body))
    weights: dict[str, object] = {
        word: tuple(int(size) for size in word.split("_")[1:])
        for word in sorted(words)
        if re.fullmatch(r"[a-z]+(_\d+)+", word)
    }
    for name, factor in (factors or {}).items():
        if name in words:
            weights[name] = np.array(factor, np.float32)
    used = {name: value for name, value in integers.items() if name in words}
    return ir.to_proto(example(signature, body, weights, integers=used))
