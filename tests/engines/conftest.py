"""A small graph in a file, and a build of it in TensorRT-RTX, which needs no GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx_ir as ir
import pytest

from models.vit import vit_micro
from tests.support.graphs import build
from tests.support.networks.exports import exported
from un_deploy.engines.building.builder import Built, build_engine
from un_deploy.engines.building.options import BuildOptions

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two linear layers, (8, 64) to (8, 32), static."""
    model = build(
        "float[8,64] x => float[8,32] y",
        "h = MatMul(x, w)  g = Add(h, c)  r = Relu(g)  k = MatMul(r, v)  y = Add(k, d)",
        w=(64, 64),
        c=(64,),
        v=(64, 32),
        d=(32,),
    )
    path = tmp_path_factory.mktemp("linear") / "linear.onnx"
    ir.save(model, path)
    return path


@pytest.fixture
def built(linear: Path) -> Callable[..., Built]:
    """``built(refit=True)``: the engine of the small graph with these options."""

    def with_options(**options: object) -> Built:
        given = BuildOptions(**options)
        return build_engine(linear, origin="linear.onnx", flavor="tensorrt-rtx", options=given)

    return with_options


@pytest.fixture
def built_vit(tmp_path: Path) -> Callable[..., Built]:
    """The same with a network of which kernels need memory, and an image for an input."""
    path = tmp_path / "vit.onnx"
    ir.save(exported(vit_micro, "none", dynamic=False), path)

    def with_options(**options: object) -> Built:
        given = BuildOptions(**options)
        return build_engine(path, origin="vit.onnx", flavor="tensorrt-rtx", options=given)

    return with_options
