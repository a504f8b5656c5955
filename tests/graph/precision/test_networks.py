"""The recipe networks in fp16 and bf16: close to fp32 wherever they run, and valid everywhere."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from onnx.reference import ReferenceEvaluator

from models.recipes import MICRO, Recipe
from tests.support.networks.cases import feeds_of, first_of, graph_of, reference, with_micros
from tests.support.networks.exports import EXPORTS_OF, Form
from un_deploy.graph.analysis.operator_types import element, value_types
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.graph.precision.convert import Precision, to_precision
from un_deploy.pipeline.export.torch_to_onnx import Exporter
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.torch_graph import TorchRuntime

pytestmark = pytest.mark.torch

BERT = MICRO["bert_micro"]
HALF: dict[Precision, ir.DataType] = {
    "fp16": ir.DataType.FLOAT16,
    "bf16": ir.DataType.BFLOAT16,
}
EPS = {"fp16": 2.0**-10, "bf16": 2.0**-7}
FORMS: tuple[Form, ...] = ("ln", "released", "folded")
IN_TURN = [
    (form, *export, precision)
    for turn, form in enumerate(FORMS)
    for export, precision in zip(EXPORTS_OF[form], [*HALF, *HALF][turn % 2 :], strict=False)
]
"""Both half types of each form, from one exporter each."""

#: What a GPU's tensor cores compute, and so what must be in the half type.
HEAVY = {"MatMul", "Gemm", "Conv"}


def assert_close(got: np.ndarray, wanted: np.ndarray, precision: Precision) -> None:
    """Rounded, and within four roundings of the reference's range."""
    assert got.dtype == np.float32
    error = np.max(np.abs(got - wanted))
    assert 0 < error <= 4 * EPS[precision] * np.ptp(wanted)


@pytest.fixture(params=list(HALF))
def precision(request: pytest.FixtureRequest) -> Precision:
    return request.param


@pytest.mark.parametrize(
    ("recipe", "form", "exporter", "dynamic", "precision"), with_micros(*IN_TURN), ids=str
)
class TestEveryGraph:
    def test_agrees_with_float32(
        self,
        recipe: Recipe,
        form: Form,
        exporter: Exporter,
        dynamic: bool,
        precision: Precision,
        tmp_path: Path,
    ) -> None:
        model, feeds = graph_of(recipe, form, exporter, dynamic), feeds_of(recipe)[0]
        wanted = reference(recipe, form, exporter, dynamic)
        half, _ = to_precision(model, precision)
        save_model(half, tmp_path / "half.onnx")
        loaded = load_model(tmp_path / "half.onnx")
        onnx.checker.check_model(tmp_path / "half.onnx", full_check=True)

        assert_close(ReferenceEvaluator(ir.to_proto(loaded)).run(None, feeds)[0], wanted, precision)
        assert_close(first_of(TorchRuntime().load(loaded).run(feeds)), wanted, precision)
        if precision == "fp16":  # ONNX Runtime has no bf16 on the CPU
            got = first_of(OnnxRuntime(threads=1).load(loaded).run(feeds))
            assert_close(got, wanted, precision)

    def test_whatever_computes_is_half(
        self,
        recipe: Recipe,
        form: Form,
        exporter: Exporter,
        dynamic: bool,
        precision: Precision,
    ) -> None:
        half, report = to_precision(graph_of(recipe, form, exporter, dynamic), precision)
        types = value_types(half)
        heavy = [node for node in half.graph if node.op_type in HEAVY]
        assert len(heavy) >= recipe.layers["linear"]
        assert {element(types[v]) for node in heavy for v in node.inputs if v is not None} == {
            HALF[precision]
        }
        # In fp16 an attention mask stays in fp32 as far as the Softmax; else only integers do.
        softmax = recipe.masked and precision == "fp16"
        assert any(kept.operator == "Softmax" for kept in report.kept) == softmax
        # Tables of places, from which the windows of an image are gathered, are integers.
        held = [v for v in half.graph.initializers.values() if v.shape and len(v.shape) > 1]
        weights = [v for v in held if v.dtype != ir.DataType.INT64 and not _hides(v)]
        assert {value.dtype for value in weights} == {HALF[precision]}


def test_a_row_without_tokens_attends_to_all_alike(precision: Precision) -> None:
    """As in fp32, whatever the lowest number is in the type."""
    model = graph_of(BERT, "folded", "dynamo", True)
    feeds = feeds_of(BERT)[0]
    feeds["attention_mask"] = np.zeros_like(feeds["attention_mask"])
    half, _ = to_precision(model, precision)
    wanted = first_of(OnnxRuntime(threads=1).load(model).run(feeds))
    assert_close(first_of(TorchRuntime().load(half).run(feeds)), wanted, precision)


@pytest.mark.parametrize(
    ("recipe", "form", "precision"), with_micros(*zip(FORMS, cycle(HALF), strict=False)), ids=str
)
def test_tensorrt_rtx_takes_them(recipe: Recipe, form: Form, precision: Precision) -> None:
    """Parsed as strongly typed networks, which is where types that do not fit show."""
    trt = pytest.importorskip("tensorrt_rtx")
    half, _ = to_precision(graph_of(recipe, form, "dynamo", False), precision)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse(ir.to_proto(half).SerializeToString())
    assert parsed, [parser.get_error(k).desc() for k in range(parser.num_errors)]
    plan = builder.build_serialized_network(network, builder.create_builder_config())
    assert plan is not None and plan.nbytes > 0


def _hides(value: ir.Value) -> bool:
    """Whether it hides later tokens, as the mask of a target of fixed length does."""
    assert value.const_value is not None
    return bool(np.min(value.const_value.numpy()) < -1e4)
