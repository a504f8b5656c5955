"""From a graph to an engine: prepared, built, its types checked; and nobody goes another way."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build as graph
from un_deploy.engines.building.from_graph import engine_of, prepare
from un_deploy.engines.building.options import BuildOptions, IoFormat
from un_deploy.errors import InputError

ROOT = Path(__file__).parents[3]
MODEL = graph("float[batch,4] x => float[batch,2] y", "y = MatMul(x, w)", w=(4, 2))


def test_a_graph_without_a_precision_stays_as_it_is() -> None:
    prepared = prepare(MODEL, None)
    assert ir.to_proto(ir.load(prepared.saved()).graph.node(0)) == ir.to_proto(MODEL.graph.node(0))
    assert prepared.precision is None
    assert prepared.check_types(()) is None
    with pytest.raises(InputError, match="keep_fp32 is of a conversion"):
        prepare(MODEL, None, keep_fp32=["y"])


def test_inputs_and_outputs_are_fp32_unless_a_format_says_otherwise() -> None:
    def types(options: BuildOptions | None) -> list[str]:
        graph = prepare(MODEL, "fp16", options=options).model.graph
        return [value.dtype.name for value in (*graph.inputs, *graph.outputs)]

    assert types(None) == ["FLOAT", "FLOAT"]
    half = BuildOptions(input_formats=(IoFormat("fp16", ("chw",)),))
    assert types(half) == ["FLOAT16", "FLOAT"]


def test_sizes_are_fixed_in_a_copy() -> None:
    prepared = prepare(MODEL, "fp16")
    fixed = prepared.with_shapes({"x": (3, 4)})
    assert fixed.model.graph.inputs[0].shape == ir.Shape((3, 4))
    assert prepared.model.graph.inputs[0].shape == ir.Shape(("batch", 4))
    assert fixed.precision is prepared.precision


def test_a_prepared_graph_holds_no_weights() -> None:
    """They are in a folder, which goes with the last graph that needs it."""
    model = graph("float[batch,64] x => float[batch,64] y", "y = MatMul(x, w)", w=(64, 64))
    weight = model.graph.initializers["w"].const_value
    prepared = prepare(model, "fp16")
    folder = Path(prepared.folder.name)
    fixed = prepared.with_shapes({"x": (3, 64)})
    for one in (prepared, fixed):
        moved = one.model.graph.initializers["w"].const_value
        assert isinstance(moved, ir.ExternalTensor) and moved.path == str(folder / "weights")
    del prepared, one
    gc.collect()
    saved = ir.load(fixed.saved()).graph
    assert saved.inputs[0].shape == ir.Shape((3, 64))
    rounded = saved.initializers["w"].const_value
    np.testing.assert_array_equal(rounded.numpy(), weight.numpy().astype(np.float16))
    del fixed
    gc.collect()
    assert not folder.exists()
    assert model.graph.initializers["w"].const_value is weight


def test_open_sizes_need_shapes_or_a_profile() -> None:
    with pytest.raises(InputError, match="has sizes that are open: give profiles for them"):
        engine_of(prepare(MODEL, "fp32"), origin="m", flavor="tensorrt-rtx")


def test_an_engine_comes_with_its_types() -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    shapes = {"x": (3, 4)}
    engine = engine_of(prepare(MODEL, "fp16"), origin="m", flavor="tensorrt-rtx", shapes=shapes)
    assert engine.types is not None
    assert dict(engine.types.multiplying) == {"Half": 1}
    assert engine.graph.model.graph.inputs[0].shape == ir.Shape((3, 4))
    assert len(engine.built.plan) > 64


ALLOWED = {
    "build_serialized_network": {"un_deploy/engines/building/builder.py"},
    "build_engine": {
        "un_deploy/engines/building/builder.py",
        "un_deploy/engines/building/from_graph.py",
    },
    "check_types": {
        "un_deploy/engines/building/from_graph.py",
        "un_deploy/engines/kernels/check_types.py",
        "un_deploy/runtime/trtexec/session.py",  # which builds in a process of NVIDIA's
    },
    "to_precision": {
        "benchmarks/digests.py",  # which builds nothing
        "un_deploy/engines/building/from_graph.py",
        "un_deploy/graph/precision/convert.py",
    },
}
"""Names of the steps of a build, and where they may stand."""


def steps(source: str) -> Iterator[str]:
    """The steps of a build that some code names, in whatever way."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.alias | ast.FunctionDef):
            names = {node.name.rpartition(".")[2]}
        elif isinstance(node, ast.Name | ast.Attribute):
            names = {node.id if isinstance(node, ast.Name) else node.attr}
        else:
            continue
        yield from names & ALLOWED.keys()


def test_nobody_builds_another_way() -> None:
    found: dict[str, set[str]] = {name: set() for name in ALLOWED}
    for folder in ("un_deploy", "benchmarks", "tests/support"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in steps(path.read_text(encoding="utf-8")):
                found[name].add(path.relative_to(ROOT).as_posix())
    assert found == ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "from un_deploy.engines.building.builder import build_engine as made",
        "from un_deploy.engines.building import builder\nbuilder.build_engine(model)",
        "def f(kernels): check_types(kernels, model, report)",
    ],
)
def test_another_way_would_be_found(source: str) -> None:
    assert len([*steps(source)]) == 1
