"""Puts parts together: one behind the other, side by side, and joined by sums."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from random import Random

import numpy as np
import onnx
import onnx.numpy_helper
from onnx import NodeProto, TensorProto

from tests.support.fuzzer.drawing.draft import Dims, Draft, is_float
from tests.support.fuzzer.drawing.part import Part
from tests.support.fuzzer.drawing.spelling import factors, respelled

#: Tensors that a part may begin with, and their shapes.
_Open = dict[str, Dims]


def _dead(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    scale = rng.uniform(0.4, 1.8, shape)
    scale.flat[0] = 0.0
    return scale


#: Numbers that the stem of a weight's name asks for.
_ASKED: dict[str, Callable[[tuple[int, ...], np.random.Generator], np.ndarray]] = {
    "inf": lambda shape, rng: np.triu(np.full(shape, -np.inf), 1),
    "zero": lambda shape, rng: np.zeros(()),
    "one": lambda shape, rng: np.ones(()),
    "dead": _dead,
    "neg": lambda shape, rng: -rng.uniform(0.4, 1.8, shape),
    "far": lambda shape, rng: rng.uniform(500, 1000, shape),
    "much": lambda shape, rng: rng.uniform(900, 1000, shape),
    "small": lambda shape, rng: rng.uniform(1 / 256, 1 / 240, shape),
    "tiny": lambda shape, rng: rng.uniform(1e-4, 2e-4, shape),
}


def compose(draft: Draft, chosen: list[Part], random: Random, rng: np.random.Generator) -> None:
    """Fill a draft with these parts; every tensor that nothing reads becomes an output."""
    open_: _Open = {}
    for part in chosen:
        open_ |= _place(draft, part, open_, random, rng)
        if len(open_) > 1 and random.random() < 0.4:
            first, second = random.sample(sorted(open_), 2)
            other = _adapted(draft, second, open_[second], open_[first], random, rng)
            if other is not None:
                total = draft.fresh("sum")
                draft.add(f"{total} = {random.choice(['Add', 'Sub'])}({first}, {other})")
                open_[total] = open_[first]
    read = {name for node in draft.nodes for name in node.input}
    draft.outputs += [name for name in open_ if name not in read]


def _place(
    draft: Draft, part: Part, open_: _Open, random: Random, rng: np.random.Generator
) -> _Open:
    """Add a part under names of its own; its outputs and their shapes."""
    graph, prefix = part.model.graph, draft.fresh("p")
    names = {value.name: f"{prefix}_{value.name}" for value in graph.input}
    for value in graph.input:
        found = _taken(draft, value, open_, random, rng)
        if found is not None:
            names[value.name] = found
        else:
            elem = value.type.tensor_type.elem_type
            typed = draft.elem if is_float(elem) else elem
            draft.inputs[names[value.name]] = (typed, _dims(value, draft))
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        node, extra = respelled(node, arrays, draft.opset)
        for name in node.input:
            if name in arrays and name not in names:
                array = arrays[name]
                as_it_is = array.dtype.kind != "f" or name in factors(graph.node)
                drawn = array if as_it_is else _drawn(name, array.shape, random, rng)
                names[name] = draft.constant(f"{prefix}_{name}", drawn, as_it_is=as_it_is)
        names |= {name: f"{prefix}_{name}" for name in node.output}
        inputs = [names.get(name, name) for name in node.input]
        if extra is not None:
            inputs.append(draft.constant("axes", extra, as_it_is=True))
        node.input[:] = inputs
        node.output[:] = [names[name] for name in node.output]
        _retype(node, draft.elem)
        draft.nodes.append(node)
    return dict(_end(draft, names[value.name], value, graph) for value in graph.output)


def _taken(
    draft: Draft,
    value: onnx.ValueInfoProto,
    open_: _Open,
    random: Random,
    rng: np.random.Generator,
) -> str | None:
    """What a part's input is to be of what is there; None: an input of the graph."""
    if not open_ or not is_float(value.type.tensor_type.elem_type) or random.random() > 0.8:
        return None
    if value.name.startswith("own"):
        return None
    source = random.choice(sorted(open_)[-3:])
    return _adapted(draft, source, open_[source], _dims(value, draft), random, rng)


def _end(
    draft: Draft, name: str, value: onnx.ValueInfoProto, graph: onnx.GraphProto
) -> tuple[str, Dims]:
    """A part's output in the graph's type, and its shape."""
    if value.type.tensor_type.elem_type == TensorProto.DOUBLE:
        name, wide = draft.fresh("narrow"), name
        draft.add(f"{name} = Cast<to={draft.elem}>({wide})")
    symbols = {d.dim_param for one in graph.input for d in one.type.tensor_type.shape.dim}
    own = onnx.ValueInfoProto.FromString(value.SerializeToString())
    for dim in own.type.tensor_type.shape.dim:
        if dim.dim_param not in symbols and not dim.dim_value:
            dim.dim_param = draft.fresh("R")  # as many as batch and tokens together, say
    draft.claims[name] = (draft.elem, _dims(own, draft))
    return name, _dims(own, draft)


def _drawn(
    name: str, shape: tuple[int, ...], random: Random, rng: np.random.Generator
) -> np.ndarray:
    """Weights that keep a stream's size, scales of both signs, at times a dead channel; a mask."""
    if (asked := _ASKED.get(name.partition("_")[0])) is not None:
        return np.broadcast_to(asked(shape, rng), shape)
    if name[0] != "a":
        rows = prod(shape[:1] if len(shape) == 2 else shape[1:]) if len(shape) > 1 else 1
        return np.asarray(rng.standard_normal(shape) / max(rows, 1) ** 0.5)
    scale = np.asarray(rng.uniform(0.4, 1.8, shape))
    if name.startswith(("av", "ae")):
        return scale
    if random.random() < 0.25:
        scale = scale * rng.choice([-1.0, 1.0], shape)
    if random.random() < 0.05 and scale.size > 1:
        scale.flat[rng.integers(scale.size)] = 0.0
    return scale


def _retype(node: NodeProto, elem: int) -> None:
    """A Cast to float32 is one to the graph's type."""
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT:
            attribute.i = elem


def _dims(value: onnx.ValueInfoProto, draft: Draft) -> Dims:
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value or draft.sizes.get(d.dim_param, d.dim_param) for d in dims)


def _adapted(
    draft: Draft, name: str, given: Dims, wanted: Dims, random: Random, rng: np.random.Generator
) -> str | None:
    """A tensor of the wanted shape, by a linear operator where they differ; None: no simple way."""
    if given == wanted and random.random() < 0.7:
        return name
    if "S" in given and given != wanted and "S" not in wanted:
        mean = draft.fresh("mean")
        draft.add(f"{mean} = {_mean_of_tokens(draft, name)}")
        name, given = mean, tuple(dim for dim in given if dim != "S")
    alike = len(given) > 1 and given[:-1] == wanted[:-1]
    rows, columns = (given[-1], wanted[-1]) if alike else (_entries(given), _entries(wanted))
    if not (isinstance(rows, int) and isinstance(columns, int)):
        return None
    if not alike and given[0] != wanted[0]:
        return None
    weight = draft.constant("w", rng.standard_normal((rows, columns)) / rows**0.5)
    made = draft.rename("{flat} {product} {biased} {shaped}")
    if not alike:
        draft.add(f"{made['flat']} = Reshape({name}, {_target(draft, (rows,))})")
        name = made["flat"]
    draft.add(f"{made['product']} = MatMul({name}, {weight})")
    name = made["product"]
    if random.random() < 0.5:
        bias = draft.constant("b", rng.standard_normal(columns))
        draft.add(f"{made['biased']} = Add({name}, {bias})")
        name = made["biased"]
    if not alike:
        sizes = tuple(size for size in wanted[1:] if isinstance(size, int))
        draft.add(f"{made['shaped']} = Reshape({name}, {_target(draft, sizes)})")
        name = made["shaped"]
    return name


def _mean_of_tokens(draft: Draft, name: str) -> str:
    if draft.opset < 18:
        return f"ReduceMean<axes=[1],keepdims=0>({name})"
    axis = draft.constant("axis", np.array([1], np.int64))
    return f"ReduceMean<keepdims=0>({name}, {axis})"


def _entries(dims: Dims) -> int | None:
    """How many entries a row of the batch has, where all but the batch is known."""
    sizes = [size for size in dims[1:] if isinstance(size, int)]
    return prod(sizes) if len(sizes) == len(dims) - 1 else None


def _target(draft: Draft, sizes: tuple[int, ...]) -> str:
    return draft.constant("shape", np.array([-1, *sizes], np.int64))
