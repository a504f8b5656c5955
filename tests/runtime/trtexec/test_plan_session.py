"""Plans in trtexec: loaded as they are, and refused before trtexec would crash on them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.trtexec.conftest import executable
from tests.support.float64 import run
from tests.support.graphs import build
from tests.support.plans import plan_of
from un_deploy.errors import InputError
from un_deploy.graph.analysis.floating import stored
from un_deploy.runtime.backends import load_file
from un_deploy.runtime.settings import RunSettings
from un_deploy.runtime.trtexec import Trtexec
from un_deploy.runtime.trtexec.runtime import TrtexecRuntime

EVALUATING = Path(__file__).parents[2] / "support" / "doubles" / "trtexec_evaluating.py"
X = {"x": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 12)}
MODEL = build("float[batch,12] x => float[batch,4] y", "y = MatMul(x, w)", w=(12, 4))
SMALL = {"x": {"min": [1, 12], "opt": [2, 12], "max": [3, 12]}}
LARGE = {"x": {"min": [4, 12], "opt": [8, 12], "max": [16, 12]}}


@pytest.fixture
def trtexec(tmp_path: Path) -> Trtexec:
    """Of the version that `plan_of` writes, 10.16.1."""
    text = (
        f"echo \"$@\" >> '{tmp_path}/calls'\n"
        f"TRTEXEC_DOUBLE_VERSION=101601 exec '{sys.executable}' '{EVALUATING}' \"$@\""
    )
    return Trtexec(executable(tmp_path / "trtexec", text))


def test_a_plan_is_run_and_never_built(trtexec: Trtexec, tmp_path: Path) -> None:
    session = TrtexecRuntime(trtexec=trtexec).load_plan(plan_of(tmp_path / "net.plan", MODEL))
    expected = run(MODEL, X, stored)["y"]
    np.testing.assert_allclose(session.run(X)["y"], expected, atol=5e-6 * np.abs(expected).max())
    assert session.timer(X)(3) == pytest.approx(3 * (0.5 + 1 / 1024) / 1000, rel=1e-4)
    calls = (tmp_path / "calls").read_text().splitlines()
    ran = [call for call in calls if "--help" not in call]
    assert len(ran) == 2
    assert all(f"--loadEngine={tmp_path}/net.plan" in call for call in ran)
    assert not any("--saveEngine" in call or "--useProfile" in call for call in ran)


def test_the_profile_that_holds_the_shapes_is_asked_for(trtexec: Trtexec, tmp_path: Path) -> None:
    path = plan_of(tmp_path / "net.plan", MODEL, profiles=[SMALL, LARGE])
    session = TrtexecRuntime(trtexec=trtexec).load_plan(path)
    for rows in (2, 5):
        session.run({"x": np.ones((rows, 12), np.float32)})
    small, large = [c for c in (tmp_path / "calls").read_text().splitlines() if "--load" in c]
    assert "--useProfile" not in small
    assert "--useProfile=1" in large
    message = r"net.plan cannot be run: it takes input x from 1x12 to 3x12 or 4x12 to 16x12, and"
    with pytest.raises(InputError, match=message):
        session.run({"x": np.ones((20, 12), np.float32)})
    with pytest.raises(InputError, match=r"net.plan cannot be run: input x.* got float64"):
        session.run({"x": np.ones((2, 12))})


def test_a_portable_plan_runs_on_later_versions_and_may_hold_host_code(
    trtexec: Trtexec, tmp_path: Path
) -> None:
    path = plan_of(tmp_path / "net.plan", MODEL, options=["--versionCompatible"])
    TrtexecRuntime(trtexec=trtexec).load_plan(path).run(X)
    assert "--versionCompatible" in (tmp_path / "calls").read_text()
    newer = tmp_path / "newer"
    newer.mkdir()
    text = f"TRTEXEC_DOUBLE_VERSION=110400 exec '{sys.executable}' '{EVALUATING}' \"$@\""
    later = Trtexec(executable(newer / "trtexec", text))
    TrtexecRuntime(trtexec=later).load_plan(path).run(X)
    bound = plan_of(tmp_path / "bound.plan", MODEL)
    message = r"bound.plan was built with TensorRT 10.16.1.11, and trtexec is of 11.4.0"
    with pytest.raises(InputError, match=message):
        TrtexecRuntime(trtexec=later).load_plan(bound)


def test_plans_of_the_other_flavour_and_changed_ones_are_refused(
    trtexec: Trtexec, tmp_path: Path
) -> None:
    runtime = TrtexecRuntime(trtexec=trtexec)
    with pytest.raises(InputError, match="is a plan of tensorrt-rtx: trtexec loads those"):
        runtime.load_plan(plan_of(tmp_path / "rtx.plan", MODEL, flavor="tensorrt-rtx"))
    changed = plan_of(tmp_path / "net.plan", MODEL)
    changed.write_bytes(changed.read_bytes()[:-1] + b"!")
    with pytest.raises(InputError, match="its SHA-256 differs"):
        runtime.load_plan(changed)


def test_memory_is_what_the_builder_told(trtexec: Trtexec, tmp_path: Path) -> None:
    path = plan_of(tmp_path / "net.plan", MODEL, memory={"activation": 4096})
    told = TrtexecRuntime(trtexec=trtexec).load_plan(path).run_memory(X)
    assert (told.bytes, told.what) == (
        4096,
        "activation memory of the plan for all its profiles, as its builder told",
    )
    silent = plan_of(tmp_path / "silent.plan", MODEL)
    assert TrtexecRuntime(trtexec=trtexec).load_plan(silent).run_memory(X).bytes is None


@pytest.mark.parametrize("backend", ["ort-cpu", "torch"])
def test_other_backends_do_not_take_plans(tmp_path: Path, backend) -> None:
    with pytest.raises(InputError, match=rf"net.plan is a plan: TensorRT runs it, not {backend}"):
        load_file(plan_of(tmp_path / "net.plan", MODEL), RunSettings(backend))
