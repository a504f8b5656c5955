"""Linear layers, GELU and attention, however an exporter spelled them, as one torch call each.

A pattern is looked up backwards from its last node and gives a value for that node's output. The
calls recorded for its other nodes stay in the graph until nobody reads them, so a value in the
middle that has another reader is still computed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import Tensor, fx

from un_deploy.runtime.torch_graph.operators.attributes import attribute
from un_deploy.runtime.torch_graph.record_calls import Traced, Value

RECOGNIZED = {
    "attention": F.scaled_dot_product_attention,
    "linear": F.linear,
    "gelu": F.gelu,
}


def counts(module: fx.GraphModule) -> dict[str, int]:
    """How often attention, linear and GELU are one call in a graph."""
    found = Counter(node.target for node in module.graph.nodes)
    return {name: found[target] for name, target in RECOGNIZED.items()}


@dataclass(frozen=True)
class Recognizer:
    """Finds patterns among values already imported."""

    values: Mapping[ir.Value, Value]

    def __call__(self, node: ir.Node) -> Value | None:
        """The value of the node's output by a pattern that ends here, or None."""
        if node.op_type == "Add":
            return self._linear_of_matmul(node)
        if node.op_type == "Gemm":
            return self._linear_of_gemm(node)
        if node.op_type == "Mul":
            return self._gelu(node)
        if node.op_type == "MatMul":
            return self._attention(node)
        return None

    def _linear_of_matmul(self, node: ir.Node) -> Value | None:
        """x W + b, either way round."""
        for product, bias in _both_ways(node):
            if (matmul := _made_by(product, "MatMul")) is None:
                continue
            x, weight, b = (self.values[v] for v in (*_inputs(matmul), bias))
            weights = _is_weight(weight, 2) and _is_weight(b, 1)
            if _computed(x) and weights and b.shape[0] == weight.shape[1]:
                return F.linear(x, weight.t(), b)
        return None

    def _linear_of_gemm(self, node: ir.Node) -> Value | None:
        if attribute(node, "transA", 0) or attribute(node, "alpha", 1.0) != 1.0:
            return None
        x, weight, *rest = (self.values[value] for value in _inputs(node))
        bias = rest[0] if rest else None
        if not _computed(x) or not _is_weight(weight, 2):
            return None
        weight = weight if attribute(node, "transB", 0) else weight.t()
        fits = bias is None or (
            _is_weight(bias, 1)
            and bias.shape[0] == weight.shape[0]
            and attribute(node, "beta", 1.0) == 1.0
        )
        return F.linear(x, weight, bias) if fits else None

    def _gelu(self, node: ir.Node) -> Value | None:
        """x / 2 (1 + erf(x / sqrt 2)), the factors in any order."""
        for factor in _factors(node.outputs[0], None):
            x = self._erf_argument(factor)
            if x is None or not _computed(self.values[x]):
                continue
            others = [f for f in _factors(node.outputs[0], x) if f is not factor]
            numbers = [n for f in others if (n := self._number(f, x)) is not None]
            rest = [f for f in others if self._number(f, x) is None]
            if rest == [x] and self._same(math.prod(numbers), 0.5, x):
                return F.gelu(self.values[x])
        return None

    def _erf_argument(self, value: ir.Value) -> ir.Value | None:
        """x, if the value is 1 + erf(x / sqrt 2)."""
        if (add := _made_by(value, "Add")) is None:
            return None
        for left, one in _both_ways(add):
            erf = _made_by(left, "Erf")
            if erf is not None and self._number(one, left) == 1.0:
                x, scale = self._unscaled(_inputs(erf)[0])
                return x if self._same(scale, math.sqrt(0.5), x) else None
        return None

    def _attention(self, node: ir.Node) -> Value | None:
        """softmax(scale q k^T + mask) v.

        A guard that makes NaN 0 is PyTorch's own export of this call. Without it too, the call
        gives 0 and the operators NaN where -inf forbids all keys of a query.
        """
        weights, v = _inputs(node)
        softmax = _made_by(self._unguarded(weights), "Softmax")
        if softmax is None:
            return None
        scores = _inputs(softmax)[0]
        if attribute(softmax, "axis", -1) not in (-1, self.values[scores].ndim - 1):
            return None
        for product, mask in self._masked(scores):
            product, scale = self._unscaled(product)
            if (matmul := _made_by(product, "MatMul")) is None:
                continue
            (q, q_scale), (k, k_scale) = map(self._unscaled, _inputs(matmul))
            query, key, value = self.values[q], self.values[k], self.values[v]
            bias = None if mask is None else self.values[mask]
            scale *= q_scale * k_scale
            # The call's fast kernels subtract the greatest score before they scale.
            if scale > 0 and self._fits(query, key, value, bias):
                if bias is not None and bias.ndim < 2:
                    bias = bias.reshape(1, -1)  # the call takes no mask of fewer axes
                return F.scaled_dot_product_attention(
                    query,
                    key.transpose(-2, -1),
                    value,
                    attn_mask=bias,
                    scale=scale,
                )
        return None

    def _masked(self, scores: ir.Value) -> Iterator[tuple[ir.Value, ir.Value | None]]:
        """The scores as a sum of a product and a mask, or as a product alone."""
        if (add := _made_by(scores, "Add")) is not None:
            yield from _both_ways(add)
        yield scores, None

    def _fits(self, query: Value, key: Value, value: Value, mask: Value | None) -> bool:
        if not all(isinstance(x, Traced) and x.ndim >= 3 for x in (query, key, value)):
            return False
        if not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
            return False
        scores = (*query.shape[:-1], key.shape[-1])
        return mask is None or (
            mask.dtype == query.dtype and torch.broadcast_shapes(mask.shape, scores) == scores
        )

    def _unguarded(self, value: ir.Value) -> ir.Value:
        """Without Where(IsNaN(x), 0, x)."""
        if (where := _made_by(value, "Where")) is not None:
            condition, zero, x = _inputs(where)
            guard = _made_by(condition, "IsNaN")
            if guard is not None and _inputs(guard) == [x] and self._number(zero, x) == 0.0:
                return x
        return value

    def _unscaled(self, value: ir.Value) -> tuple[ir.Value, float]:
        """The value without a constant scalar factor, and that factor."""
        if (mul := _made_by(value, "Mul")) is not None:
            for x, factor in _both_ways(mul):
                if (number := self._number(factor, x)) is not None:
                    return x, number
        if (div := _made_by(value, "Div")) is not None:
            x, divisor = _inputs(div)
            if number := self._number(divisor, x):
                return x, 1 / number
        return value, 1.0

    def _number(self, value: ir.Value, like: ir.Value) -> float | None:
        """A constant with one element, of no more axes than the tensor it meets: it adds none."""
        tensor = self.values[value]
        if not isinstance(tensor, Tensor) or tensor.numel() != 1:
            return None
        return tensor.item() if tensor.ndim <= self.values[like].ndim else None

    def _same(self, number: float, wanted: float, like: ir.Value) -> bool:
        """Equal up to the rounding of a tensor's type."""
        return math.isclose(number, wanted, rel_tol=2 * torch.finfo(self.values[like].dtype).eps)


def _computed(value: Value) -> bool:
    """Whether it depends on the inputs: a tensor of activations and no weight."""
    return isinstance(value, Traced) and value.node.op != "get_attr"


def _is_weight(value: Value, rank: int) -> bool:
    return value.ndim == rank and not _computed(value)


def _made_by(value: ir.Value, op_type: str) -> ir.Node | None:
    node = value.producer()
    return node if node is not None and node.op_type == op_type else None


def _inputs(node: ir.Node) -> list[ir.Value]:
    return [value for value in node.inputs if value is not None]


def _both_ways(node: ir.Node) -> Iterator[tuple[ir.Value, ir.Value]]:
    left, right = _inputs(node)
    yield left, right
    yield right, left


def _factors(value: ir.Value, stop: ir.Value | None, depth: int = 2) -> list[ir.Value]:
    """What a value is the product of, through at most two Mul; `stop` is not taken apart."""
    mul = _made_by(value, "Mul")
    if mul is None or value is stop or depth == 0:
        return [value]
    return [f for v in _inputs(mul) for f in _factors(v, stop, depth - 1)]
