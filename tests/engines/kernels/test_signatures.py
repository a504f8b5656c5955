"""A folded graph's engine runs the kernels of the network without norms, and no other form does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import nn

from models.bert import bert_base
from models.vit import vit_small, vit_tiny
from tests.support.engine_graphs import FORMS, MICRO, engine_signatures, exported, forms
from un_deploy.graph.precision.convert import Precision

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")

TARGETS: dict[Precision, tuple[str, ...]] = {
    "fp32": ("", "80", "86", "89", "120", "121"),
    "fp16": ("", "75", "80", "86", "89", "120", "121"),
    "bf16": ("", "80", "86", "89", "120", "121"),
}
"""Compute capabilities; empty: TensorRT-RTX's own choice."""


@pytest.mark.parametrize("precision", TARGETS)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("factory", MICRO.values(), ids=MICRO.keys())
def test_folded_is_no_norm_and_nothing_else_is(
    factory: Callable[..., nn.Module], dynamic: bool, precision: Precision
) -> None:
    models = forms(factory, dynamic)
    for target in TARGETS[precision]:
        found = {f: engine_signatures(models[f], precision, target) for f in FORMS}
        alike = {form for form in FORMS if found[form] == found["none"]}
        assert alike == {"none", "folded"}, target or "default"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_turing_has_fp16_only(precision: Precision) -> None:
    from un_deploy.errors import InputError

    model = forms(MICRO["vit_micro"], False)["none"]
    with pytest.raises(InputError, match=r"with --computeCapability=75: .+"):
        engine_signatures(model, precision, "75")


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("factory", [vit_tiny, vit_small, bert_base])
def test_large_networks_in_fp16(factory: Callable[..., nn.Module], dynamic: bool) -> None:
    found = {
        form: engine_signatures(exported(factory, form, dynamic), "fp16")
        for form in ("none", "folded", "un")
    }
    assert found["folded"] == found["none"]
    assert found["un"] != found["none"]
