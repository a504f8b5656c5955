"""The changes that a fold makes to a graph, as data.

Constants are copied on write: an edit speaks of one use of a constant, other readers keep the
old value. New values are computed in float64 when they are asked for, and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.fold.rules.equation import without_leading_ones
from un_deploy.graph.fold.rules.mixing import Mixing
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.site import Site

Array = np.ndarray


@dataclass(frozen=True)
class SetConstant:
    """Give one use of a constant a new value.

    Attributes:
        node, index: the use.
        compute: the new value in float64.
        shape: its shape.
        repeated: the constant, where the node reads what others repeat of it, and reads it as it is
            from now on.
    """

    node: ir.Node
    index: int
    compute: Callable[[], Array] = field(repr=False)
    shape: tuple[int, ...]
    repeated: ir.Value | None = None

    @property
    def old(self) -> ir.Value:
        """The constant that is given the new value."""
        value = self.repeated or self.node.inputs[self.index]
        assert value is not None
        return value

    @cached_property
    def exact(self) -> Exact:
        """The new value, in parts where its rule has said how."""
        return _exact(self.compute, self.shape)


@dataclass(frozen=True)
class AddBias:
    """Give a linear operator the bias it did not have.

    Attributes:
        node: the operator.
        operator: what is known of it: where its bias goes.
        compute: the bias in float64.
        shape: of the bias: one axis of the output channels where it is an input; behind the
            operator any that broadcasts to its output.
        weight: which input is the weight.
    """

    node: ir.Node
    operator: Operator
    compute: Callable[[], Array] = field(repr=False)
    shape: tuple[int, ...]
    weight: int = 1

    @cached_property
    def exact(self) -> Exact:
        """The bias."""
        return _exact(self.compute, self.shape)


@dataclass(frozen=True)
class Bypass:
    """Remove a site: its readers read its input."""

    site: Site


@dataclass(frozen=True)
class LeaveShift:
    """Leave one Add of a site: its scale is folded, its shift stays.

    Attributes:
        site: the site.
        shift: what is added, in float64, of the rank of the site's tensors.
    """

    site: Site
    shift: Array = field(repr=False)

    @property
    def exact(self) -> Exact:
        """The summand, without leading axes of size 1."""
        return Exact.held(self.shift.reshape(without_leading_ones(self.shift.shape, 1)))


@dataclass(frozen=True)
class Mix:
    """Let the columns that make a modulation's summand take in some of those of its factor.

    Attributes:
        mixing: the modulation.
        ratio: for each channel, how often the factor is added to the summand.
        constant: what is added to the linear operator's output on the way to the factor.
    """

    mixing: Mixing
    ratio: Array = field(repr=False)
    constant: Array = field(repr=False)

    def weight(self, old: Exact) -> Exact:
        """The linear operator's new weight."""
        return Exact.whole(lambda: self._mixed(old(), 0.0, self.mixing.axis), old.shape)

    def bias(self, old: Exact) -> Exact:
        """Its new bias."""
        return Exact.whole(lambda: self._mixed(old(), self.constant, len(old.shape) - 1), old.shape)

    def _mixed(self, array: Array, constant: Array | float, axis: int) -> Array:
        by_channel = np.moveaxis(np.array(array), axis, -1)
        taken = by_channel[..., self.mixing.source] + constant
        by_channel[..., self.mixing.target] += self.ratio * taken
        return np.moveaxis(by_channel, -1, axis)


Edit = SetConstant | AddBias | Bypass | LeaveShift | Mix

#: Operators in a row: the type, the operator whose attributes it has (None: it has none), and what
#: it reads beside the one before it, new constants or old ones.
Affines = tuple[tuple[str, ir.Node | None, tuple[Exact | ir.Value, ...]], ...]


@dataclass(frozen=True)
class Shorten:
    """Let fewer operators compute a site that stays.

    Attributes:
        site: the site.
        affines: the operators that do.
        dtype: of their constants.
    """

    site: Site
    affines: Affines
    dtype: ir.DataType


@dataclass(frozen=True)
class Change:
    """What an edit did to a constant.

    Attributes:
        node: the operator that reads it.
        output: the tensor that its unit makes.
        value: the initializer that holds the new numbers.
        old: the name of the constant that held the numbers before; None for a gained bias.
        exact: the new numbers.
        before: the old numbers; None for a gained bias.
        added: the Add that holds the bias that the operator gained, where one does.
    """

    node: str
    output: str
    value: ir.Value
    exact: Exact = field(repr=False)
    old: str | None = None
    before: Exact | None = field(default=None, repr=False)
    added: ir.Node | None = None


def _exact(compute: Callable[[], Array], shape: tuple[int, ...]) -> Exact:
    return compute if isinstance(compute, Exact) else Exact.whole(compute, shape)
