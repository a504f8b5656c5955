"""Norms are named as the network's author knows them."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from un_deploy.graph.model.labels import class_of, label_of, rename_scopes, scopes_of


def node(name: str, **metadata: str) -> ir.Node:
    made = ir.node("Mul", [ir.Value(name="x"), ir.Value(name="a")], name=name)
    made.outputs[0].name = "out"
    made.metadata_props.update({f"pkg.torch.onnx.{key}": text for key, text in metadata.items()})
    return made


def test_the_dynamo_exporter_writes_scopes_and_classes() -> None:
    mul = node(
        "node_mul_3",
        name_scopes="['', 'blocks.0', 'blocks.0.norm1', 'mul_3']",
        class_hierarchy="['models.vit.ViT', 'models.vit.Block', 'un.UnifiedNorm', 'aten.mul']",
    )
    assert label_of(mul) == "blocks.0.norm1"
    assert class_of(mul) == "un.UnifiedNorm"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("/blocks.0/norm1/Mul", "blocks.0.norm1"),
        ("/blocks/blocks.0/norm1/Mul", "blocks.0.norm1"),
        ("/blocks.0/blocks.0/blocks.0.0/norm1/Mul", "blocks.0.blocks.0.0.norm1"),
        ("/Mul", "/Mul"),
        ("Mul_3", "Mul_3"),
        ("", "out"),
    ],
)
def test_the_torchscript_exporter_has_only_names(name: str, label: str) -> None:
    assert label_of(node(name)) == label
    assert class_of(node(name)) is None


@pytest.mark.parametrize("scopes", ["not a list", "7", "['mul']", "['', 'mul']"])
def test_metadata_that_tells_nothing_is_passed_over(scopes: str) -> None:
    assert label_of(node("Mul_3", name_scopes=scopes)) == "Mul_3"


def test_modules_are_renamed_and_their_classes_and_operation_are_not() -> None:
    mul = node("node_mul_3", name_scopes="['', 'run.func', 'run.func.norm', 'mul_3']")
    mul.metadata_props["namespace"] = ": Net/run.func: Part/run.func.norm: LayerNorm/mul_3: aten"
    rename_scopes(mul, {"run.func": "model", "run.func.norm": "model.norm", "mul_3": "no"})
    assert scopes_of(mul) == ["", "model", "model.norm", "mul_3"]
    assert label_of(mul) == "model.norm"
    assert mul.metadata_props["namespace"] == ": Net/model: Part/model.norm: LayerNorm/mul_3: aten"


def test_an_operator_without_scopes_is_left_alone() -> None:
    mul = node("Mul_3")
    rename_scopes(mul, {"": "model"})
    assert mul.metadata_props == {}
