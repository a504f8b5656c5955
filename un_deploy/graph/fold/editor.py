"""The one place that applies edits to a graph."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants, rounded
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.edits import (
    AddBias,
    Change,
    Edit,
    LeaveShift,
    Mix,
    SetConstant,
    Shorten,
)
from un_deploy.graph.fold.rewire import replace_value
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.sites.affine_steps import read_by
from un_deploy.graph.fold.sites.bodies import bodies_of
from un_deploy.graph.model.labels import node_name, unique_name


class Editor:
    """Applies edits to one model.

    Args:
        model: the model.
        constants, shapes: what is known of it.
        shared: constants that others read too, whom nobody sees here.
        names: all that are taken, here and outside; new ones are added to them.
    """

    def __init__(
        self,
        model: ir.Model,
        constants: Constants,
        shapes: Shapes,
        shared: Collection[str] = (),
        names: set[str | None] | None = None,
    ) -> None:
        self._shared = shared
        self._graph = model.graph
        self._constants = constants
        self._shapes = shapes
        self._names = names_of_all(model.graph) if names is None else names

    def apply(self, edits: Iterable[Edit]) -> tuple[list[Change], list[ir.Value]]:
        """Apply in order; returns what became of the constants, and what is read for each site.

        That is the site's input where it is gone, and the output of its Add where one is left.
        """
        changes: list[Change] = []
        instead: list[ir.Value] = []
        for edit in edits:
            if isinstance(edit, SetConstant):
                changes.append(self._set_constant(edit))
            elif isinstance(edit, AddBias):
                changes.append(self._add_bias(edit))
            elif isinstance(edit, Mix):
                changes += self._mix(edit)
            elif isinstance(edit, LeaveShift):
                change, left = self._leave_shift(edit)
                changes.append(change)
                instead.append(left)
            else:
                instead.append(self._bypass(edit.site))
        return changes, instead

    def _set_constant(self, edit: SetConstant) -> Change:
        old = edit.old
        assert old.name
        alone = (
            edit.repeated is None
            and len(old.uses()) == 1
            and not old.is_graph_output()
            and old.name not in self._shared
        )
        dtype = self._constants.dtype(old)
        name, before = old.name, Exact.of(old, self._constants)
        if alone and old.is_initializer():
            new = old
        else:
            new = self._initializer(f"{old.name}_folded", dtype, edit.shape, old)
            edit.node.replace_input_with(edit.index, new)
        self._fill(new, edit.exact, dtype)
        output = str(edit.node.outputs[0].name)
        return Change(node_name(edit.node), output, new, edit.exact, name, before)

    def _mix(self, edit: Mix) -> Iterable[Change]:
        """Of the constants as the other edits have left them, so these come first."""
        mixing = edit.mixing
        for (node, index), mixed in (((mixing.linear, 1), edit.weight), (mixing.bias, edit.bias)):
            old = node.inputs[index]
            assert old is not None
            new = mixed(Exact.of(old, self._constants))
            yield self._set_constant(SetConstant(node, index, new, new.shape))

    def _add_bias(self, edit: AddBias) -> Change:
        node, place = edit.node, edit.operator.bias
        weight = node.inputs[edit.weight]
        assert weight is not None and place is not None
        dtype = self._constants.dtype(weight)
        bias = self._initializer(f"{weight.name}_folded_bias", dtype, edit.shape, None)
        self._fill(bias, edit.exact, dtype)
        output = str(node.outputs[0].name)
        if place == "behind":
            added = self.put_behind(node, "Add", bias, "bias", "unbiased")
            return Change(node_name(node), output, bias, edit.exact, added=added)
        node.resize_inputs(place + 1)
        node.replace_input_with(place, bias)
        return Change(node_name(node), output, bias, edit.exact)

    def put_behind(
        self, node: ir.Node, op_type: str, constant: ir.Value, word: str, before: str
    ) -> ir.Node:
        """Put a Mul or an Add between the node and its readers; its output takes over the name.

        Args:
            constant: what it multiplies by or adds.
            word: what it is called behind the node's name.
            before: what the node's own output is called behind that.
        """
        inner = node.outputs[0]
        name = str(inner.name)
        named = unique_name(f"{node.name}/{word}", self._names)
        behind = ir.node(op_type, [inner, constant], name=named)
        outer = behind.outputs[0]
        outer.type, outer.shape = inner.type, inner.shape
        inner.replace_all_uses_with(outer, replace_graph_outputs=True)
        behind.replace_input_with(0, inner)
        inner.name = unique_name(f"{name}_{before}", self._names)
        outer.name = name
        self._graph.insert_after(node, behind)
        shape = self._shapes.of(outer)  # known under the name that it took over
        if shape is not None:
            self._shapes.set(inner, shape)
        return behind

    def constant(self, name: str, array: np.ndarray, dtype: ir.DataType) -> ir.Value:
        """A new one."""
        value = self._initializer(name, dtype, array.shape, None)
        self._fill(value, Exact.held(array), dtype)
        return value

    def _bypass(self, site: Site) -> ir.Value:
        """Readers of any tensor inside the site (its shape is x's) read its input."""
        # Not site.x: that may have gained a bias, or have been the end of a site before.
        x = read_by(site.nodes[0], self._constants)
        for node in site.nodes:
            for value in node.outputs:
                replace_value(self._graph, value, x)
        for node in reversed(site.nodes):
            self._graph.remove(node, safe=True)
        return x

    def _leave_shift(self, edit: LeaveShift) -> tuple[Change, ir.Value]:
        """An Add in place of the site, under the name of its last operator."""
        site, last = edit.site, edit.site.nodes[-1]
        x = read_by(site.nodes[0], self._constants)
        dtype = self._shapes.dtype(site.y)
        assert dtype is not None
        held = next(_read_beside(x, site.nodes[::-1]))
        shift = self._initializer(
            f"{last.name or site.y.name}_shift", dtype, edit.exact.shape, None
        )
        self._fill(shift, edit.exact, dtype)
        add = ir.node("Add", [x, shift], name=last.name)
        add.metadata_props.update(last.metadata_props)
        left = add.outputs[0]
        self._graph.insert_after(last, add)
        name = str(site.y.name)
        left.name, left.type, left.shape = name, site.y.type, site.y.shape
        replace_value(self._graph, site.y, left)
        for node in site.nodes[:-1]:
            for value in node.outputs:
                replace_value(self._graph, value, x)
        for node in reversed(site.nodes):
            self._graph.remove(node, safe=True)
        return Change(node_name(add), name, shift, edit.exact, held), left

    def shorten(self, edit: Shorten) -> tuple[list[Change], ir.Value, list[ir.Node]]:
        """Apply one; the last operator of the site stays the last one, and makes what it made.

        Returns:
            What became of the constants, the tensor that the site reads, and what was added.
        """
        *others, last = edit.site.nodes
        x, y = read_by(edit.site.nodes[0], self._constants), last.outputs[0]
        changes: list[Change] = []
        added: list[ir.Node] = []
        for op_type, like, given in edit.affines:
            before = added[-1].outputs[0] if added else x
            inputs = [before, *self._given(edit, given, changes)]
            attributes = () if like is None else tuple(like.attributes.values())
            if len(added) + 1 < len(edit.affines):
                name = unique_name(f"{last.name}/{op_type}", self._names)
                node = ir.Node("", op_type, inputs, attributes, name=name)
                node.metadata_props.update(edit.site.nodes[0].metadata_props)
                added.append(node)
                self._add_inner(node, y, last)
                continue
            last.op_type = op_type
            last.attributes.clear()
            last.attributes.update((attribute.name, attribute) for attribute in attributes)
            last.resize_outputs(1)
            last.resize_inputs(len(inputs))
            for index, value in enumerate(inputs):
                last.replace_input_with(index, value)
        for value in (value for node in others for value in node.outputs):
            replace_value(self._graph, value, x)
        for node in reversed(others):
            self._graph.remove(node, safe=True)
        return changes, x, added

    def _given(
        self, edit: Shorten, given: tuple[Exact | ir.Value, ...], changes: list[Change]
    ) -> Iterator[ir.Value]:
        """The constants that one of the new operators reads; those that are new are made."""
        site, y = edit.site, str(edit.site.y.name)
        for constant in given:
            if isinstance(constant, ir.Value):
                yield constant
                continue
            value = self._initializer(f"{y}_folded", edit.dtype, constant.shape, None)
            self._fill(value, constant, edit.dtype)
            old = next(_read_beside(site.x, site.nodes))
            changes.append(Change(site.name, y, value, constant, old))
            yield value

    def _add_inner(self, node: ir.Node, y: ir.Value, before: ir.Node) -> None:
        """Put an operator of y's shape in front of another."""
        (value,) = node.outputs
        value.name = unique_name(f"{y.name}_scaled", self._names)
        value.type, value.shape = y.type, y.shape
        if (shape := self._shapes.of(y)) is not None:
            self._shapes.set(value, shape)
        self._graph.insert_before(before, node)

    def _initializer(
        self, name: str, dtype: ir.DataType, shape: tuple[int, ...], like: ir.Value | None
    ) -> ir.Value:
        name = unique_name(name, self._names)
        value = ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))
        if like is not None:
            value.metadata_props.update(like.metadata_props)
            value.doc_string = like.doc_string
        return value

    def _fill(self, value: ir.Value, exact: Exact, dtype: ir.DataType) -> None:
        value.const_value = ir.LazyTensor(
            lambda: ir.Tensor(rounded(exact(), dtype), dtype=dtype, name=value.name),
            dtype=dtype,
            shape=ir.Shape(exact.shape),
            name=value.name,
        )
        value.shape = ir.Shape(exact.shape)
        if not value.is_initializer():
            self._graph.register_initializer(value)
        self._constants.replaced(value, exact)
        self._shapes.set(value, exact.shape)


def _read_beside(x: ir.Value, nodes: Sequence[ir.Node]) -> Iterator[str]:
    """What the operators of a site read beside x and one another."""
    inside = {x, None, *(value for node in nodes for value in node.outputs)}
    read = (value for node in nodes for value in node.inputs if value not in inside)
    return (str(value.name) for value in read if value is not None)


def names_of_all(graph: ir.Graph) -> set[str | None]:
    """Those inside control flow bodies too: a name there must not be hidden."""
    names: set[str | None] = {value.name for value in (*graph.inputs, *graph.initializers.values())}
    for node in graph.all_nodes():
        names.add(node.name)
        names.update(value.name for value in node.outputs)
        for _, body in bodies_of(node):
            names.update(value.name for value in body.inputs)
            names.update(body.initializers)
    return names
