"""What the engines of a comparison tell: the folded one runs no norm's kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.bert import bert_micro
from models.vit import vit_micro
from tests.support.bias_free import vit_bias_free
from tests.support.networks.exports import exported
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.measure.speed.variant import Kind, Variant
from un_deploy.measure.speed.variant_engines import engine_facts

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")

KINDS: dict[str, Kind] = {"ln": "ln", "un": "unfolded", "folded": "folded", "none": "none"}


def test_engines_of_a_recipe(tmp_path: Path) -> None:
    variants = []
    for form, kind in KINDS.items():
        model = exported(vit_micro, form, dynamic=False)
        save_model(model, tmp_path / f"{kind}.onnx")
        variants.append(Variant(kind, str(tmp_path / f"{kind}.onnx"), "test", False, 1))
    variants.append(Variant("ln", variants[0].model, "test", False, 1, "a setting", "no-norm"))
    feeds = {name: array.numpy() for name, array in vit_micro().example_inputs(2).items()}
    facts = engine_facts(variants, feeds, flavor="tensorrt-rtx", precision="fp16")
    by_kind = {one.kind: one for one in facts}
    assert len(facts) == 4  # a setting of ONNX Runtime makes no other engine
    assert {k: one.same_as_none for k, one in by_kind.items()} == {
        "ln": False,
        "unfolded": False,
        "folded": True,
        "none": True,
    }
    assert by_kind["folded"].bytes_written == by_kind["none"].bytes_written
    assert by_kind["folded"].bytes_written < by_kind["ln"].bytes_written
    assert all(one.plan_bytes > 0 and one.activation_bytes for one in facts)
    shown = {one.types for one in facts}
    assert shown == {("the type is shown for 26 of 26 products",)}
    assert any("node_MatMul" in node for k in by_kind["ln"].kernels for node in k.onnx_nodes)


def test_without_no_norm_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    model = exported(bert_micro, "folded", dynamic=False)
    save_model(model, tmp_path / "f.onnx")
    variant = Variant("folded", str(tmp_path / "f.onnx"), "test", False, 1)
    (facts,) = engine_facts([variant], {}, flavor="tensorrt-rtx", precision="fp32")
    assert facts.same_as_none is None


@pytest.mark.parametrize("told", [True, False])
def test_folded_with_gained_biases_is_held_against_no_norm_with_them(
    tmp_path: Path, told: bool
) -> None:
    folded = fold_graph(exported(vit_bias_free, "un", dynamic=False))
    save_model(folded.model, tmp_path / "folded.onnx")
    save_model(exported(vit_bias_free, "none", dynamic=False), tmp_path / "none.onnx")
    kinds: tuple[Kind, ...] = ("folded", "none")
    facts = engine_facts(
        [Variant(kind, str(tmp_path / f"{kind}.onnx"), "test", True, 1) for kind in kinds],
        {},
        flavor="tensorrt-rtx",
        precision="fp16",
        gained_biases=folded.report.gained_biases if told else (),
    )
    assert [one.same_as_none for one in facts] == [told, True]
