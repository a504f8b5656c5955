"""The operator check, the second proof: recomputes every operator of a folded graph on its own.

The original runs once in float64. Each operator that survived then gets its inputs from that run,
mapped into the new variables, is computed in float64 with the constants as they are saved, and is
compared with the mapped output of that run. The allowance is the rounding of a constant to its
type, weighed with the operator's own terms: for y = x W it is a small multiple of
eps (|x| |W|), entry by entry. So it does not grow with depth, and nothing hides behind a later
operator. `solve.certify` proves the gauges; this proves the edits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.reference import Float64, is_floating, run, stored, widen
from un_deploy.graph.fold.original_tensors import ValueMap
from un_deploy.graph.fold.rules import operator_named

Array = np.ndarray

#: In units of the allowance, which already is a bound; 2 leaves room for the check's own rounding.
TOLERANCE = 2.0
#: float64 arithmetic of the check itself, relative to the terms that are summed.
_OWN_ROUNDING = 1e-12


@dataclass(frozen=True)
class OperatorResult:
    """One operator's worst entry: error / allowance, where more than `TOLERANCE` fails."""

    node: str
    operator: str
    output: str
    ratio: float


@dataclass(frozen=True)
class Blind:
    """Rows of a constant that the inputs never reached, so that nothing is known of them."""

    constant: str
    rows: int
    of: int


@dataclass(frozen=True)
class OperatorCheck:
    """The outcome, worst first.

    Attributes:
        results: every operator that could be compared.
        blind: what the inputs did not reach.
        unmapped: operators with no counterpart in the original, other than the inside of a
            linear unit; there must be none.
    """

    results: tuple[OperatorResult, ...]
    blind: tuple[Blind, ...]
    unmapped: tuple[str, ...]

    @property
    def worst(self) -> float:
        return self.results[0].ratio if self.results else 0.0

    @property
    def passed(self) -> bool:
        return not self.unmapped and bool(self.results) and self.worst <= TOLERANCE

    @property
    def failures(self) -> tuple[OperatorResult, ...]:
        return tuple(r for r in self.results if not r.ratio <= TOLERANCE)


def check_operators(
    original: ir.Model, folded: ir.Model, values: ValueMap, feeds: Mapping[str, Array]
) -> OperatorCheck:
    """Compare every operator of the folded graph with the original.

    Args:
        original: before the fold.
        folded: after it, as it will be saved.
        values: which original tensor each tensor stands for, as the fold tells it.
        feeds: an array for each graph input, by name.

    Raises:
        InputError: an operator cannot be run in float64, or an input is missing.
    """
    return _Checker(original, folded, values, _trace(original, feeds)).check()


def _trace(model: ir.Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Every tensor of the main graph in float64, by name."""
    defaults = (value for value in model.graph.inputs if value.is_initializer())
    found = {str(value.name): stored(value) for value in defaults}
    found.update((name, widen(array)) for name, array in feeds.items())

    def note(node: ir.Node, values: Mapping[ir.Value, Array]) -> None:
        found.update((str(v.name), values[v]) for v in node.outputs if v in values)

    run(model, feeds, stored, note)
    return found


class _Checker:
    def __init__(
        self, original: ir.Model, folded: ir.Model, values: ValueMap, old: dict[str, Array]
    ) -> None:
        self._graph = folded.graph
        self._outputs = {str(value.name) for value in folded.graph.outputs}
        self._original = original.graph.initializers
        self._values = values
        self._old = old
        self._evaluate = Float64(folded.opset_imports, folded.ir_version or 10)
        self._inside: dict[str, tuple[Array, Array]] = {}
        self._inner_rounding: dict[str, float] = {}
        self._reach: dict[str, Array] = {}
        self._is_rewritten: dict[str, bool] = {}
        self._absolute: dict[ir.Node, ir.Node] = {}

    def check(self) -> OperatorCheck:
        results: list[OperatorResult] = []
        unmapped: list[str] = []
        for node in self._graph:
            inputs = [None if v is None else self._new(v) for v in node.inputs]
            arrays = [None if i is None else i[0] for i in inputs]
            outputs = self._evaluate.node(node, arrays, lambda value: self._new(value)[0])
            self._note_reach(node, inputs)
            every_terms = self._terms(node, inputs, outputs)
            for value, got, terms in zip(node.outputs, outputs, every_terms, strict=False):
                name = str(value.name)
                if name not in self._outputs and self._values.get(name, name) is None:
                    self._inside[name] = got, terms
                    self._inner_rounding[name] = self._rounding(node)
                    continue
                wanted = self._mapped(name)
                if wanted is None:
                    unmapped.append(node.name or name)
                    self._inside[name] = got, terms  # so that its readers can be computed
                    continue
                ratio = _ratio(got, *wanted, terms, self._rounding(node))
                results.append(OperatorResult(node.name or name, node.op_type, name, ratio))
        results.sort(key=lambda result: -result.ratio if result.ratio == result.ratio else -np.inf)
        return OperatorCheck(tuple(results), tuple(self._blind()), tuple(unmapped))

    def _new(self, value: ir.Value) -> tuple[Array, Array]:
        """A tensor in the new variables, and the size of the terms it was mapped from."""
        name = str(value.name)
        if name in self._inside:
            return self._inside[name]
        if value.producer() is None and not value.is_graph_input():
            array = stored(value)
            return array, np.abs(array) if array.dtype.kind == "f" else array
        mapped = self._mapped(name)
        if mapped is None:
            raise KeyError(name)
        return mapped

    def _mapped(self, name: str) -> tuple[Array, Array] | None:
        # An output must hold what it held, whatever the map says.
        entry = None if name in self._outputs else self._values.get(name)
        first = entry[0] if entry is not None else name
        if first not in self._old:
            return None
        old = self._old[first]
        if old.dtype.kind != "f":
            return old, old
        if entry is None:
            return old, np.abs(old)
        gauge = entry[1].aligned(old.ndim)
        terms = (np.abs(old) + np.abs(gauge.shift)) / np.abs(gauge.scale)
        return (old - gauge.shift) / gauge.scale, terms

    def _terms(
        self, node: ir.Node, inputs: list[tuple[Array, Array] | None], outputs: list[Array]
    ) -> list[Array]:
        """What each output sums, in absolute values: the unit of its rounding error."""
        if all(out.dtype.kind != "f" for out in outputs):
            return outputs
        operator = operator_named(node.op_type)
        if not operator.linear or node.domain:
            return [np.full_like(out, np.max(np.abs(out), initial=0)) for out in outputs]
        sizes = [None if i is None else i[1] for i in inputs]
        for index in operator.subtracts:
            sizes[index] = -np.asarray(sizes[index])
        if node not in self._absolute:
            self._absolute[node] = _with_absolute_factors(node)
        return [np.abs(terms) for terms in self._evaluate.node(self._absolute[node], sizes)]

    def _rounding(self, node: ir.Node) -> float:
        """Half a unit in the last place of the widest-spaced constant that the fold rewrote."""
        found = 0.0
        for value in node.inputs:
            if value is None:
                continue
            found = max(found, self._inner_rounding.get(str(value.name), 0.0))
            if value.producer() is not None or value.const_value is None:
                continue
            dtype = value.const_value.dtype
            if is_floating(dtype) and self._rewritten(value):
                found = max(found, float(ir_eps(dtype)) / 2)
        return found

    def _rewritten(self, value: ir.Value) -> bool:
        name = str(value.name)
        if name not in self._is_rewritten:
            self._is_rewritten[name] = not self._same_numbers(value)
        return self._is_rewritten[name]

    def _same_numbers(self, value: ir.Value) -> bool:
        before = self._original.get(str(value.name))
        if before is None or before.const_value is None or value.const_value is None:
            return False
        return before.const_value is value.const_value or np.array_equal(
            before.const_value.numpy(), value.const_value.numpy()
        )

    def _note_reach(self, node: ir.Node, inputs: list[tuple[Array, Array] | None]) -> None:
        """Remember which rows of a rewritten matrix or table the inputs reached."""
        operator = operator_named(node.op_type)
        if not (operator.picks or operator.absorbs):
            return
        table = node.inputs[0 if operator.picks else 1]
        if table is None or table.producer() is not None or table.const_value is None:
            return
        if not self._rewritten(table):
            return
        name = str(table.name)
        if operator.picks:
            picked = inputs[1]
            assert picked is not None
            axis = node.attributes.get_int("axis", 0)
            rows = table.const_value.shape.numpy()[axis]
            reached = np.zeros(rows, dtype=bool)
            reached[picked[0].astype(np.int64).ravel()] = True
        else:
            source = inputs[0]
            assert source is not None
            x = np.moveaxis(source[0], operator.input_channels(node), -1)
            reached = np.any(x.reshape(-1, x.shape[-1]) != 0, axis=0)
        self._reach[name] = self._reach.get(name, False) | reached

    def _blind(self) -> list[Blind]:
        return [
            Blind(name, int(np.sum(~reached)), len(reached))
            for name, reached in self._reach.items()
            if not np.all(reached)
        ]


def ir_eps(dtype: ir.DataType) -> float:
    """The distance from 1 to the next number of a floating type."""
    return {
        ir.DataType.DOUBLE: 2.0**-52,
        ir.DataType.FLOAT: 2.0**-23,
        ir.DataType.FLOAT16: 2.0**-10,
        ir.DataType.BFLOAT16: 2.0**-7,
    }[dtype]


def _with_absolute_factors(node: ir.Node) -> ir.Node:
    """The same operator, its negative factors (Gemm's alpha and beta) taken without their sign."""
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    negative = {name: -a for name, a in attributes.items() if isinstance(a, float) and a < 0}
    if not negative:
        return node
    apart = [None if value is None else ir.Value(name=value.name) for value in node.inputs]
    outputs = [ir.Value(name=value.name) for value in node.outputs]
    return ir.node(node.op_type, apart, attributes | negative, outputs=outputs)


def _ratio(got: Array, wanted: Array, of_wanted: Array, terms: Array, rounding: float) -> float:
    """The largest |got - wanted| over its allowance; infinite where shapes or integers differ."""
    if got.shape != wanted.shape:
        return float("inf")
    if got.dtype.kind != "f":
        return 0.0 if np.array_equal(got, wanted) else float("inf")
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    with np.errstate(invalid="ignore", divide="ignore"):
        allowed = rounding * terms + _OWN_ROUNDING * (terms + of_wanted)
        ratio = np.where(same, 0.0, np.abs(got - wanted) / allowed)
    return float(np.max(np.where(np.isnan(ratio), np.inf, ratio), initial=0.0))
