"""From a graph to a plan and its manifest, in TensorRT-RTX; or to nothing, with what is wrong."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from models.vit import vit_micro
from tests.support.graphs import build as graph
from tests.support.networks.engine_graphs import profiles
from tests.support.networks.exports import exported
from un_deploy.engines.building.options import parse_formats
from un_deploy.engines.plan.manifest import load_plan
from un_deploy.engines.profiles import Range
from un_deploy.errors import InputError, TargetError
from un_deploy.graph.model.model_kinds import to_graphsurgeon
from un_deploy.pipeline.build import Surgery, build

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    model = graph(
        "float[batch,8] x => float[batch,4] y",
        "h = MatMul(x, w)  g = Add(h, c)  r = Relu(g)  k = MatMul(r, v)  y = Add(k, d)",
        claims="float[batch,8] h, float[batch,8] g, float[batch,8] r, float[batch,4] k",
        w=(8, 8),
        c=(8,),
        v=(8, 4),
        d=(4,),
    )
    ir.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def profile(model: Path):
    return profiles(ir.load(model))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_a_plan_says_what_it_is(source: Path, tmp_path: Path, precision: str) -> None:
    target = tmp_path / "m.plan"
    report = build(source, target, precision=precision, profiles=profile(source))
    plan, manifest = load_plan(target)
    assert manifest == report.manifest
    assert manifest.sha256 == hashlib.sha256(plan).hexdigest()
    assert manifest.source == "model.onnx"
    assert manifest.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert manifest.profiles[0]["x"] == Range((1, 8), (2, 8), (8, 8))
    assert [t.dtype for t in (*manifest.inputs, *manifest.outputs)] == ["float", "float"]
    assert report.types is not None
    names = {"fp32": "Float", "fp16": "Half", "bf16": "BFloat16"}
    assert report.types.multiplying == {names[precision]: 2}
    json.loads(report.to_json())


def test_every_kind_of_model_gives_the_same_plan(source: Path, tmp_path: Path) -> None:
    model = ir.load(source)
    plans = []
    for given in (source, model, ir.to_proto(model), to_graphsurgeon(model)):
        build(given, tmp_path / "m.plan", profiles=profile(source), force=True)
        plans.append((tmp_path / "m.plan").read_bytes())
    assert len(set(plans)) == 1


def test_types_at_the_edges_are_the_formats(source: Path, tmp_path: Path) -> None:
    report = build(
        source,
        tmp_path / "m.plan",
        precision="fp16",
        profiles=profile(source),
        options=_formats("fp16:chw", "fp16:chw"),
    )
    assert [t.dtype for t in report.manifest.inputs] == ["float16"]
    assert [t.dtype for t in report.manifest.outputs] == ["float16"]
    assert report.types is not None
    assert report.types.fp32_outputs == ()
    assert report.manifest.options == ("--inputIOFormats=fp16:chw", "--outputIOFormats=fp16:chw")


def _formats(inputs: str, outputs: str):
    from un_deploy.engines.building.options import BuildOptions

    return BuildOptions(input_formats=parse_formats(inputs), output_formats=parse_formats(outputs))


def test_a_region_and_an_output_more(source: Path, tmp_path: Path) -> None:
    report = build(
        source,
        tmp_path / "m.plan",
        profiles=(({"g": next(iter(profile(source)[0].values()))}),),
        surgery=Surgery(region_inputs=("g",), outputs=("r",)),
    )
    assert [t.name for t in report.manifest.inputs] == ["g"]
    assert [t.name for t in report.manifest.outputs] == ["y", "r"]


def test_a_plan_of_a_recipe_writes_fewer_bytes_folded_than_with_layer_norm(tmp_path: Path) -> None:
    written = {}
    for form in ("folded", "ln"):
        model = exported(vit_micro, form, dynamic=False)
        report = build(model, tmp_path / f"{form}.plan", precision="fp16")
        assert report.bytes_written is not None
        written[form] = report.bytes_written
    assert written["folded"] < written["ln"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"profiles": ()}, "has sizes that are open: give profiles"),
        ({"precision": "fp16", "keep_fp32": ("MatMul_9",)}, "'MatMul_9', which is to be kept"),
        ({"surgery": Surgery(outputs=("nothing",))}, "no tensor nothing"),
        ({"flavor": "tensorrt"}, r'needs the package tensorrt.*"un-deploy\[tensorrt\]"'),
    ],
)
def test_nothing_is_written_where_something_is_wrong(
    source: Path, tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    before = set(tmp_path.iterdir())
    with pytest.raises(Exception, match=message):
        build(source, tmp_path / "m.plan", **{"profiles": profile(source), **settings})
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("value", "message"),
    [(7e4, "'w' holds 70000 at .0, 0., beyond"), (1e-9, "'w' holds 1e-09 at .0, 0., which beco")],
)
def test_a_weight_that_fp16_cannot_hold_is_named(
    tmp_path: Path, value: float, message: str
) -> None:
    weight = np.full((8, 4), value, dtype=np.float32)
    model = graph("float[2,8] x => float[2,4] y", "y = MatMul(x, w)", w=weight)
    with pytest.raises(InputError, match=message):
        build(model, tmp_path / "m.plan", precision="fp16")
    build(model, tmp_path / "m.plan", precision="bf16")


def test_existing_targets_need_force(source: Path, tmp_path: Path) -> None:
    (tmp_path / "m.plan.json").write_text("mine")
    with pytest.raises(TargetError, match=r"m\.plan\.json exists already"):
        build(source, tmp_path / "m.plan", profiles=profile(source))
    assert (tmp_path / "m.plan.json").read_text() == "mine"
    assert not (tmp_path / "m.plan").exists()
    build(source, tmp_path / "m.plan", profiles=profile(source), force=True)
    load_plan(tmp_path / "m.plan")


def test_the_model_is_not_replaced_by_its_plan(source: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(TargetError, match="is the model itself"):
        build(source, source, profiles=profile(source), force=True)
    assert source.read_bytes() == before
