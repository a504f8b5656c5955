"""Engines of networks that are not the recipes': built, and their types shown."""

from __future__ import annotations

import re
from typing import Any

import onnx_ir as ir
import pytest

from benchmarks.engine_types import BEGIN, END, PAGE, faults, markdown, report, reports
from tests.support.graphs import build
from tests.support.networks.foreign import NETWORKS
from un_deploy.engines.building import builder
from un_deploy.engines.building.from_graph import engine_of, prepare
from un_deploy.engines.flavor import described
from un_deploy.engines.kernels.check_types import TypeReport
from un_deploy.engines.kernels.kernels import Kernel
from un_deploy.graph.precision.names import Precision

NAMES = {"fp32": "Float", "fp16": "Half", "bf16": "BFloat16"}


def types(model: ir.Model, precision: Precision = "fp16") -> TypeReport:
    made = engine_of(prepare(model, precision), origin="m", flavor="tensorrt-rtx").types
    assert made is not None
    return made


def shows_all(found: TypeReport, products: int) -> bool:
    return found.multiplying.keys() == {NAMES[found.precision]} and (
        (found.shown, found.products, found.not_shown) == (products, products, ())
    )


def test_there_are_twenty_networks_and_more() -> None:
    assert len(NETWORKS) >= 20
    assert sum(network.bodies for network in NETWORKS.values()) >= 5


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize(
    ("name", "products"),
    [
        ("two towers", 36),  # in two streams
        ("decoder with and without its past", 37),  # with layers of the runtime's own
        ("If in a Loop", 11),
        ("Loop in an If", 13),
        ("Scan over time", 5),  # unrolled
    ],
)
def test_networks_of_every_form(name: str, products: int, precision: Precision) -> None:
    assert shows_all(report(name, precision, "default"), products)


BRANCHES = """
    h = MatMul(x, w)
    y = If (c) <
        then_branch = {} () => (float[8,16] t) {{ {} = MatMul(h, k)  t = Relu({}) }},
        else_branch = {} () => (float[8,16] e) {{ {} = MatMul(h, w)  e = MatMul({}, k) }}
    >
"""


@pytest.mark.parametrize(
    "names",
    [
        ("a", "m", "m", "b", "n", "n"),
        ("same", "m", "m", "same", "n", "n"),
        ("one", "m", "m", "two", "m", "m"),  # as in two files that were merged
    ],
)
def test_names_in_branches_may_be_the_same(names: tuple[str, ...]) -> None:
    model = build(
        "float[8,16] x, bool c => float[8,16] y", BRANCHES.format(*names), w=(16, 16), k=(16, 16)
    )
    for node in model.graph.all_nodes():
        node.name = node.name or f"layer/{node.op_type}"
    assert shows_all(types(model), 4)


@pytest.mark.parametrize(
    "name", ["a, b", "block[0]/MatMul", "q | k", "x^y", "a+b", "[ONNX Layer: z]", "Name: q, L"]
)
def test_names_that_look_like_something_else(name: str) -> None:
    model = build(
        "float[8,16] x => float[8,16] y", "h = MatMul(x, w)  r = Relu(h)  y = MatMul(r, w)",
        w=(16, 16),
    )  # fmt: skip
    model.graph[0].name = name
    assert shows_all(types(model), 2)


def test_products_that_one_kernel_computes_and_one_in_several() -> None:
    """Queries, keys and values at once; and a product with few rows and a long sum."""
    joined = build(
        "float[8,64] x => float[8,64] a, float[8,64] b, float[8,64] c",
        "a = MatMul(x, u)  b = MatMul(x, v)  c = MatMul(x, w)",
        u=(64, 64),
        v=(64, 64),
        w=(64, 64),
    )
    found = types(joined)
    assert shows_all(found, 3) and found.multiplying["Half"] == 1
    split = build("float[1,8192] x => float[1,16] y", "y = MatMul(x, w)", w=(8192, 16))
    assert shows_all(types(split), 1)


def test_what_the_builder_fails_at_in_bf16_is_built_and_shown() -> None:
    """Between Casts TensorRT-RTX computes a ConvTranspose in bf16 after all, which is right."""
    body = "a = Conv(x, c)  t = ConvTranspose(a, c)  y = Relu(t)"
    model = build("float[1,4,8,8] x => float[1,4,8,8] y", body, c=(4, 4, 1, 1))
    assert shows_all(types(model, "bf16"), 2)
    recurrent = report("recurrent layers", "bf16", "default")
    assert recurrent.multiplying.keys() == {"BFloat16", "Float"}
    assert [one.name for one in recurrent.not_shown] == ["node_of_l"]


def test_one_line_that_cannot_be_read_costs_its_own_kernel_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a later version may write one: the engine is built, and the product is named."""
    model = build(
        "float[8,64] x => float[8,64] y", "a = MatMul(x, w)  r = Softmax(a)  y = MatMul(r, w)",
        w=(64, 64),
    )  # fmt: skip

    original = builder.engine_kernels

    def told(said: str, plan: bytes, **given: Any) -> tuple[Kernel, ...]:
        return original(re.sub(r", Inputs: (.*MatMul_2\])", r", Reads: \1", said), plan, **given)

    monkeypatch.setattr(builder, "engine_kernels", told)
    found = types(model)
    assert (found.shown, found.products) == (1, 2)
    assert [one.name for one in found.not_shown] == ["MatMul_2"]
    assert "does not tell what the kernel __myl_FcCast" in found.not_shown[0].reason


@pytest.mark.slow
def test_the_table_in_the_docs_is_right() -> None:
    """Every sixth row; `python -m benchmarks.engine_types` writes all."""
    some = [*NETWORKS][::6]
    found = dict(reports(some))
    assert len(found) == 6 * len(some)
    assert faults(found) == []
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    written, _, _ = rest.partition(END)
    assert written.strip().startswith(f"{described('tensorrt-rtx')}, {len(NETWORKS)} networks")
    rows = [line for line in written.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(NETWORKS)
    made = [line for line in markdown(found, "").splitlines() if line.startswith("|")]
    assert made == [*rows[:2], *rows[2::6]]
