"""Every constant of a folded graph: the original's bit for bit, or one that the fold rewrote."""

from __future__ import annotations

import onnx_ir as ir

from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.analysis.held_constant import held_constant
from un_deploy.graph.fold.fold import Folded
from un_deploy.graph.proof.proof import Problem
from un_deploy.graph.proof.same_operator import same_numbers
from un_deploy.graph.proof.saved import saved_difference


class KeptConstants:
    """Compares constants when they are asked for, each once.

    Attributes:
        compared: the rewritten ones that were held against their exact numbers, by name.
        problems: what is wrong with them.
    """

    def __init__(self, original: ir.Model, folded: Folded) -> None:
        self._original = original.graph.initializers
        self._here = folded.model.graph.initializers
        self._rewritten = folded.exact
        self._alike: dict[ir.Value, bool] = {}
        self.compared: set[str] = set()
        self.problems: list[Problem] = []

    def same(self, new: ir.Value, old: ir.Value) -> bool:
        """Whether a constant holds the bits of one of the original's initializers."""
        if old.is_graph_input() or old.producer() is not None:
            return False
        if new.name != old.name:
            return same_numbers(new.const_value, old.const_value)
        if new.name in self._rewritten:
            return False
        if new not in self._alike:
            self._alike[new] = same_numbers(new.const_value, old.const_value)
        return self._alike[new]

    def is_constant(self, value: ir.Value) -> bool:
        """Whether it is an initializer, or a rewritten constant in a Constant node."""
        stored = value.is_initializer() and not value.is_graph_input()
        return stored or self.is_rewritten_node(value)

    def is_rewritten_node(self, value: ir.Value) -> bool:
        """Whether a constant that the fold rewrote stands in a Constant node here."""
        stands = value.producer() is not None and value.name in self._rewritten
        return stands and held_constant(value) is not None

    def is_known(self, value: ir.Value) -> bool:
        """Whether a constant is the original's, or one that the fold rewrote."""
        old = self._original.get(str(value.name))
        return value.name in self._rewritten or (old is not None and self.same(value, old))

    def exact(self, value: ir.Value) -> Exact:
        """A constant's exact numbers; what is saved is held against them on the way."""
        name, tensor = str(value.name), held_constant(value)
        exact = self._rewritten.get(name)
        if exact is None:
            return Exact.stored(value)
        if name not in self.compared and tensor is not None:
            self.compared.add(name)
            if text := saved_difference(tensor, exact):
                self.problems.append(Problem(name, text))
        return exact

    def check_all(self) -> None:
        """Compare those that nothing has asked for."""
        for name, value in self._here.items():
            old = self._original.get(name)
            if name in self._rewritten:
                self.exact(value)
            elif old is None or self._alike.get(value):
                continue
            elif not same_numbers(value.const_value, old.const_value):
                self.problems.append(Problem(name, "holds other numbers than in the original"))
        for name, old in self._original.items():
            if old.is_graph_input() and name not in self._here:
                self.problems.append(Problem(name, "is an input that has lost its default value"))
