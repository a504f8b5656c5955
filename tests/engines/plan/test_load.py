"""A plan of TensorRT-RTX, which is built without a GPU and loaded with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.graphs import build as graph
from un_deploy.errors import InputError

pytest.importorskip("tensorrt_rtx")

from un_deploy.engines.plan.load import load_engine
from un_deploy.gpu import Gpu, first_gpu
from un_deploy.pipeline.build import build


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "relu.plan"
    build(graph("float[2,4] x => float[2,4] y", "y = Relu(x)"), path)
    return path


@pytest.mark.skipif(first_gpu() is not None, reason="a GPU loads it")
def test_without_a_gpu_that_is_what_is_said(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT names the call of CUDA that failed; where a GPU answers, that is all we know."""
    with pytest.raises(InputError, match=r"needs an NVIDIA GPU and its driver, and none .*\(IRun"):
        load_engine(plan)
    found = Gpu("H200", "580", None, None, None, None, True, None, None, None)
    monkeypatch.setattr("un_deploy.engines.plan.load.first_gpu", lambda: found)
    with pytest.raises(InputError, match=r"cannot load .*relu.plan: IRuntime::"):
        load_engine(plan)
