"""An engine's precision, read from its own kernels: a silent fp32 engine is refused."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
import pytest

from tests.support.engine_graphs import MICRO, forms
from un_deploy.errors import InputError
from un_deploy.graph.precision import to_precision
from un_deploy.runtime.tensorrt.build import Built, build_engine
from un_deploy.runtime.tensorrt.types import check_types


def engine(model: ir.Model, path: Path) -> tuple[Built, dict[str, str]]:
    ir.save(model, path)
    operators = {node.name or "": node.op_type for node in model.graph}
    return build_engine(path, origin="m.onnx", flavor="tensorrt-rtx"), operators


def test_an_engine_in_the_precision_asked_for(tmp_path: Path) -> None:
    model, _ = to_precision(forms(MICRO["vit_micro"], dynamic=False)["folded"], "fp16")
    built, operators = engine(model, tmp_path / "m.onnx")
    report = check_types(built.kernels, operators, "fp16")
    assert set(report.multiplying) == {"Half"}
    assert report.multiplying["Half"] == sum(kernel.multiplies for kernel in built.kernels)
    assert [name for name in report.fp32_outputs if "Cast" not in name] == []  # the logits alone


def test_an_engine_in_fp32_is_not_taken_for_fp16(tmp_path: Path) -> None:
    built, operators = engine(forms(MICRO["vit_micro"], dynamic=False)["folded"], tmp_path / "m")
    with pytest.raises(InputError, match=r"fp16 was asked for, but \d+ kernels multiply in anothe"):
        check_types(built.kernels, operators, "fp16")


def test_one_product_left_in_fp32_is_found_unless_it_was_told_to_stay(tmp_path: Path) -> None:
    folded = forms(MICRO["vit_micro"], dynamic=False)["folded"]
    one = next(node.name or "" for node in folded.graph if node.op_type == "Gemm")
    model, report = to_precision(folded, "bf16", keep=[one])
    assert [kept.node for kept in report.kept] == [one]
    built, operators = engine(model, tmp_path / "m.onnx")
    with pytest.raises(InputError, match="bf16 was asked for, but 1 kernels multiply in another"):
        check_types(built.kernels, operators, "bf16")
    found = check_types(built.kernels, operators, "bf16", kept=[one])
    assert found.multiplying["Float"] == 1


def test_an_engine_that_tells_nothing_proves_nothing() -> None:
    with pytest.raises(InputError, match="tells of no kernel for product"):
        check_types([], {"product": "MatMul"}, "fp16")
