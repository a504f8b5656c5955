"""Sorts layers into groups (product, attention, norm, ...) by name and by what they compute.

The graph tells more than a layer's name. A MatMul of two computed tensors belongs to attention,
with the Softmax it feeds on and the scale and mask before that; a Mul and an Add may be a norm's
scale and shift, or one of the seven operators in which an exporter writes Layer Normalization.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.norms.find_norms import find_norms
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.report import kind_of
from un_deploy.graph.fold.rules import operators
from un_deploy.graph.fold.rules.operator import Group
from un_deploy.graph.fold.site import Site
from un_deploy.graph.model.labels import node_name
from un_deploy.runtime.layer_times import nodes_between

_OF_RUNTIMES: dict[Group, str] = {
    "products": """
        FusedMatMul FusedGemm FusedConv NhwcFusedConv MatMulNBits TransposeMatMul
        correlation Convolution MatrixMultiply FullyConnected
    """,
    "attention": """
        MultiHeadAttention GroupQueryAttention PackedAttention QAttention
        scaled_dot_product_attention mha
    """,
    "normalization": """
        SkipLayerNormalization EmbedLayerNormalization SimplifiedLayerNormalization
        SkipSimplifiedLayerNormalization Normalization
    """,
    "activation": "FastGelu BiasGelu QuickGelu BiasSoftmax Activation",
    "elementwise": "Elementwise Pointwise Unary",
    "layout": """
        ReorderInput ReorderOutput MemcpyFromHost MemcpyToHost Reformat Shuffle Copy Concatenation
    """,
}
"""What layers of ONNX Runtime, torch and TensorRT are called that are no operators of ONNX."""

_GROUP_OF: dict[str, Group] = {
    **{name.lower(): operator.group for name, operator in operators().items()},
    **{name.lower(): group for group, names in _OF_RUNTIMES.items() for name in names.split()},
}
"""By name in lower case."""

_STRONGEST: tuple[Group, ...] = (
    "attention", "products", "normalization", "activation", "elementwise", "layout",
)  # fmt: skip
"""Several operators in one layer: the first of these that is there, since it takes the time."""

_REFINED: dict[Group, Collection[Group]] = {
    "products": ("attention", "products"),
    "activation": ("attention", "normalization", "activation"),
    "elementwise": ("attention", "normalization", "activation", "elementwise"),
}
"""What a layer whose name says what it is may be for the sake of its nodes. Others are what they
are called: a Transpose that a runtime put before a product is no product."""


def node_groups(model: ir.Model) -> dict[str, Group]:
    """The group of each node of the main graph, by its name; without one by its first output.

    Normalization is every norm that measures its input, as an operator or in its parts, and
    whatever un-deploy folds: scale and shift per channel, as of UN, BatchNormalization or
    LayerScale.
    """
    shapes = Shapes(model)
    constants = Constants(model, shapes)
    view = GraphView(model, constants, shapes)
    groups = {node_name(node): _group_of(node.op_type) for node in model.graph}
    norms = [norm.nodes for norm in find_norms(model.graph, constants, shapes)]
    norms += [site.nodes for site in view.sites if _is_norm(site)]
    groups |= {node_name(node): "normalization" for nodes in norms for node in nodes}
    groups |= {node_name(node): "attention" for node in _attention(model.graph, constants)}
    return groups


def _is_norm(site: Site) -> bool:
    names = [node.op_type for node in site.nodes]
    return kind_of(names, site.affine.scale.size) == "norm"


def layer_group(kind: str, onnx_nodes: Iterable[str], groups: Mapping[str, Group]) -> Group:
    """The group of a layer, from what the runtime calls it and the nodes' `node_groups`."""
    called = _group_of(kind)
    found = {groups[name] for name in onnx_nodes if name in groups}
    if called != "other":
        found = {called, *found.intersection(_REFINED.get(called, ()))}
    return next((group for group in _STRONGEST if group in found), "other")


def _group_of(operator: str) -> Group:
    return _GROUP_OF.get(operator.lower(), "other")


def _attention(graph: ir.Graph, constants: Constants) -> Iterator[ir.Node]:
    """Products of two computed tensors; a Softmax that one of them reads, and what leads to it."""
    products = [node for node in graph if _group_of(node.op_type) == "products"]
    written = {value for node in products for value in node.outputs}
    for node in products:
        read = [v for v in node.inputs if v is not None and not _stored(v, constants)]
        if len(read) < 2:
            continue
        yield node
        for value in read:
            between = nodes_between([value], written)
            if any(one.op_type == "Softmax" for one in between):
                yield from between


def _stored(value: ir.Value, constants: Constants) -> bool:
    """Old exporters list their weights among the inputs, where they could be overridden."""
    return value in constants or value.is_initializer()
