"""onnx-shape-inference's context, which follows no size and no number that has grown too large.

So inference takes a time that is linear in the graph, whatever its sizes are computed from.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir
import sympy
from onnx_shape_inference import ShapeInferenceContext

from un_deploy.graph.analysis.side_dims import SideDim, expression

#: An expression of more operations than this is unknown, and so is one of more characters. Sizes
#: that come of a backbone's strides and of an image's flattened pixels have some thirty.
MOST_OPERATIONS = 64
MOST_CHARACTERS = 16 * MOST_OPERATIONS
#: An expression with a power above this is unknown: no tensor has so many axes of one size.
MOST_POWER = 64
#: Tensors of more axes have no shape here; numpy takes no more of them either.
MOST_AXES = 64
#: Tensors of more numbers than this are no shapes, and their numbers are not followed.
MOST_NUMBERS = 1024


class BoundedContext(ShapeInferenceContext):
    """What is known of the tensors of one graph while its shapes are inferred."""

    def get_symbolic_value(self, value: ir.Value) -> list[SideDim] | None:
        """The numbers that a small integer tensor holds; None where they are not known."""
        if value not in self._symbolic_values:
            constant = ir.convenience.get_const_tensor(value)
            if constant is not None and constant.size > MOST_NUMBERS:
                return None
        return super().get_symbolic_value(value)

    def set_symbolic_value(self, value: ir.Value, data: list[SideDim]) -> None:
        """Remember them, if they are few."""
        if len(data) <= MOST_NUMBERS:
            super().set_symbolic_value(value, data)

    def forget_symbolic_value(self, value: ir.Value) -> None:
        """Take a tensor's numbers for unknown."""
        self._symbolic_values.pop(value, None)
        value.const_value = None

    def bound(self, values: Iterable[ir.Value]) -> None:
        """Give a name of its own to each size, and each number, that has grown too large."""
        for value in values:
            if value.shape is not None:
                few = len(value.shape) <= MOST_AXES
                value.shape = ir.Shape(self._bounded(value.shape.dims)) if few else None
            numbers = self.get_symbolic_value(value)
            if numbers is not None and not all(map(is_bounded, numbers)):
                self.forget_symbolic_value(value)
                self.set_symbolic_value(value, self._bounded(numbers))

    def joins_many(self, node: ir.Node) -> bool:
        """Whether it is a Concat of more sizes than are added up; their sum is a new one then."""
        values = [v for v in node.inputs if v is not None]
        shapes = [v.shape for v in values if v.shape is not None]
        if node.op_type != "Concat" or not len(node.inputs) == len(shapes) > MOST_OPERATIONS:
            return False
        axis = node.attributes.get_int("axis") % len(shapes[0])
        if len({shape[axis] for shape in shapes}) <= MOST_OPERATIONS:
            return False
        dims = [*shapes[0].dims]
        dims[axis] = self.new_symbolic_dim()
        self.set_shape_and_dtype(node.outputs[0], ir.Shape(dims), values[0].dtype)
        return True

    def _bounded(self, dims: Iterable[SideDim]) -> list[SideDim]:
        return [dim if is_bounded(dim) else self.new_symbolic_dim() for dim in dims]


def is_bounded(dim: SideDim) -> bool:
    """Whether a size, or a number in a shape tensor, has a name and has not grown too large.

    Where sizes of different names meet in every block, an expression doubles with each of them.
    """
    if isinstance(dim, int):
        return -(2**63) <= dim < 2**63
    if dim.value is None or len(dim.value) > MOST_CHARACTERS:
        return False
    found = expression(dim)
    powers = (power.exp for power in found.atoms(sympy.Pow))
    return bool(found.count_ops() <= MOST_OPERATIONS) and all(
        power.is_Integer and abs(power) <= MOST_POWER for power in powers
    )
