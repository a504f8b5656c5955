"""The layers of a variant: their groups lose nothing, and a report keeps them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.support.reports import AFFINE, LAYER_NORM, LAYERS, full_report, layer, layers, report
from un_deploy.errors import InputError
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.layers.variant_layers import GROUPS, VariantLayers, where_it_went

EPS = np.finfo(np.float64).eps


def test_the_groups_are_all_of_the_layers() -> None:
    rng = np.random.default_rng(0)
    kinds = rng.choice(list(GROUPS), 500)
    found = layers(
        "ln",
        *(layer("A", kind, t) for kind, t in zip(kinds, rng.exponential(size=500), strict=True)),
    )
    assert list(found.groups_s) == list(GROUPS)
    assert sum(found.groups_s.values()) == pytest.approx(found.layers_s, rel=8 * EPS)
    assert found.layers_s == pytest.approx(sum(one.median_s for one in found.layers), rel=500 * EPS)


def test_what_is_not_assigned_is_named_once() -> None:
    pool = layer("ReduceMean", "other", 1.0, "/a/ReduceMean")
    kgen = layer("kgen", "other", 1.0, "/a/TopK", "/a/NonZero")
    assert layers("ln", pool, *LAYERS, kgen, pool).unassigned == (
        "ReduceMean",
        "kgen: TopK NonZero",
    )
    assert layers("ln", LAYER_NORM).unassigned == ()


def test_what_a_layer_is_has_no_names_of_nodes() -> None:
    assert layer("Gemm", "products", 1, "/a/MatMul", "/a/Add").what == "Gemm: MatMul Add"
    assert layer("MatMul", "products", 1, "/b/MatMul").what == "MatMul"
    assert replace(layer("", "other", 1), name="Reformat 3").what == "Reformat 3"


def test_where_the_time_of_ln_went() -> None:
    slower = replace(LAYERS[0], median_s=LAYERS[0].median_s + 2e-5)
    said = where_it_went(layers("ln", LAYER_NORM, *LAYERS), layers("folded", slower, *LAYERS[1:]))
    assert said == (
        "The layers of LN take 1.0208 ms together, those of UN folded 0.9707 ms. LN less UN "
        "folded: normalization +0.0700 ms, matrix products, convolutions -0.0200 ms."
    )
    assert where_it_went(layers("ln", *LAYERS), layers("folded", *LAYERS)).endswith(": nothing.")


def test_a_report_keeps_them() -> None:
    given = full_report()
    again = CompareReport.from_json(given.to_json(), "it")
    assert again == given
    ln = again.layers[0]
    assert isinstance(ln, VariantLayers)
    assert ln.layers[0].onnx_nodes == ("/blocks.0/norm1/LayerNormalization",)
    assert again.layers[1].layers[0] == AFFINE


def test_a_report_that_was_written_before_there_were_layers_is_read() -> None:
    old = json.loads(report().to_json())
    for one in (old, *old["sweep"]):
        del one["layers"]
    read = CompareReport.from_json(json.dumps(old), "old.json")
    assert read == report()
    assert read.layers == ()


def test_damaged_layers_are_no_report() -> None:
    damaged = json.loads(full_report().to_json())
    del damaged["layers"][0]["layers"][0]["onnx_nodes"]
    with pytest.raises(
        InputError,
        match=r"a comparison: required field missing @ \$\.layers\[0\]\.layers\[0\]\.onnx_nodes",
    ):
        CompareReport.from_json(json.dumps(damaged), "it")
