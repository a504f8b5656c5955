"""trtexec as a runtime, on a double whose engines compute: its outputs, builds and failures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.trtexec.conftest import VERSIONS, Make, executable
from tests.support.float64 import run
from tests.support.graphs import build
from un_deploy.errors import InputError
from un_deploy.graph.analysis.floating import stored
from un_deploy.runtime.how_it_ran import HowItRan
from un_deploy.runtime.layer_times import TellsLayers
from un_deploy.runtime.trtexec import Trtexec
from un_deploy.runtime.trtexec.output_file import parse_output
from un_deploy.runtime.trtexec.runtime import TrtexecRuntime

EVALUATING = Path(__file__).parents[2] / "support" / "doubles" / "trtexec_evaluating.py"
X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 12)
SIX_DIGITS = 5e-6
"""trtexec prints outputs to six digits."""


@pytest.fixture(params=[10, 11])
def trtexec(request: pytest.FixtureRequest, tmp_path: Path) -> Trtexec:
    log = tmp_path / "calls"
    text = (
        f"echo \"$@\" >> '{log}'\n"
        f"TRTEXEC_DOUBLE_VERSION={VERSIONS[request.param]} exec '{sys.executable}' "
        f"'{EVALUATING}' \"$@\""
    )
    return Trtexec(executable(tmp_path / "trtexec", text))


@pytest.fixture
def model():
    return build(
        "float[batch,12] x, int64[batch] i => float[batch,4] y, float[batch,3] z",
        "y = MatMul(x, w)  z = Gather(t, i)",
        w=(12, 4),
        t=(9, 3),
    )


FEEDS = {"x": X, "i": np.array([8, 0], dtype=np.int64)}


@pytest.mark.parametrize(("precision", "eps"), [("fp32", SIX_DIGITS), ("fp16", 2.0**-9)])
def test_outputs_are_the_graphs(trtexec: Trtexec, model, precision, eps: float) -> None:
    session = TrtexecRuntime(precision, trtexec).load(model)
    found = session.run(FEEDS)
    for name, expected in run(model, FEEDS, stored).items():
        limit = eps * np.abs(expected).max()
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=limit)
    assert [*session.run(FEEDS, ["z"])] == ["z"]


def test_a_sample_is_a_run_and_the_engine_is_built_once(
    trtexec: Trtexec, model, tmp_path: Path
) -> None:
    timer = TrtexecRuntime("fp32", trtexec).load(model).timer(FEEDS)
    # The double's n-th inference takes 0.5 ms and n / 1024 more.
    assert timer(3) == pytest.approx(3 * (0.5 + 1 / 1024) / 1000, rel=1e-4)
    timer(5)
    calls = (tmp_path / "calls").read_text().splitlines()
    built = [call for call in calls if "--saveEngine=" in call]
    timed = [call for call in calls if "--loadEngine=" in call]
    assert (len(built), len(timed)) == (1, 2)
    assert "--stronglyTyped" in built[0]
    assert "--skipInference" in built[0]
    assert not any("--shapes" in call for call in (*built, *timed))  # they are fixed in the graph
    assert "--iterations=5" in timed[1]


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_a_flag_of_the_build_alone(
    trtexec: Trtexec, model, tmp_path: Path, tf32: bool
) -> None:
    """Both versions allow it by default, and have the flag that does not."""
    TrtexecRuntime("fp32", trtexec, tf32=tf32).load(model).timer(FEEDS)(1)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert ["--noTF32" in call for call in calls if "Engine=" in call] == [not tf32, False]


def test_an_opset_that_bf16_lifts_is_told_of_the_variant(trtexec: Trtexec) -> None:
    conv = build("float[1,1,4,4] x => float[1,1,2,2] y", "y = Conv(x, w)", w=(1, 1, 3, 3))
    session = TrtexecRuntime("bf16", trtexec).load(conv)
    told = "bf16 lifts the graph from opset 20 to 22, where more of its operators take bf16"
    assert session.how_it_ran() == HowItRan((told,))
    assert TrtexecRuntime("fp16", trtexec).load(conv).how_it_ran() == HowItRan()


def test_layers_are_those_of_its_profile_with_what_the_inspector_tells(
    trtexec: Trtexec, model, tmp_path: Path
) -> None:
    session = TrtexecRuntime("fp32", trtexec).load(model)
    assert isinstance(session, TellsLayers)
    layers = session.layer_times(FEEDS, 7, 2)
    # The double's n-th layer takes 0.08 ms times n; the last of its profile never runs.
    assert [layer.seconds for layer in layers] == [
        *((pytest.approx(0.08e-3 * n, rel=1e-5),) for n in range(1, 6)),
        (0.0,),
    ]
    assert layers[0].name == "{ForeignNode[/blocks.0/attn/MatMul.../blocks.0/mlp/Add]}"
    assert {layer.kind for layer in layers[:5]} == {"gemm"}
    assert {layer.onnx_nodes for layer in layers[:5]} == {("/fc/MatMul", "/fc/Add[1]")}
    assert (layers[5].kind, layers[5].onnx_nodes) == ("", ())
    calls = (tmp_path / "calls").read_text().splitlines()
    built, profiled = (call for call in calls if "Engine=" in call)
    assert "--profilingVerbosity=detailed" in built
    assert "--iterations=7" in profiled


def test_other_shapes_are_another_engine(trtexec: Trtexec, model, tmp_path: Path) -> None:
    session = TrtexecRuntime("fp32", trtexec).load(model)
    session.run(FEEDS)
    more = {"x": np.tile(X, (2, 1)), "i": np.array([1, 2, 3, 4], dtype=np.int64)}
    assert session.run(more)["y"].shape == (4, 4)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert sum("--saveEngine=" in call for call in calls) == 2


def test_what_is_missing_is_named(trtexec: Trtexec, model) -> None:
    session = TrtexecRuntime("fp32", trtexec).load(model)
    with pytest.raises(InputError, match="no data for the input i"):
        session.run({"x": X})
    with pytest.raises(InputError, match="trtexec gives no tensor h"):
        session.run(FEEDS, ["h"])


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_an_engine_of_another_precision_is_refused(
    trtexec: Trtexec, model, precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trtexec passes all the same: only its layer information shows it."""
    monkeypatch.setenv("TRTEXEC_DOUBLE_TYPE", "Float")
    session = TrtexecRuntime(precision, trtexec).load(model)
    with pytest.raises(InputError, match=f"^{precision} was asked for, but 1 kernels .* in Float"):
        session.timer(FEEDS)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("tells", ["no layers", "no types"])
def test_an_engine_that_tells_nothing_of_its_types_says_so(
    trtexec: Trtexec, model, monkeypatch: pytest.MonkeyPatch, precision, tells: str
) -> None:
    if tells == "no layers":
        monkeypatch.setenv("TRTEXEC_DOUBLE_MODE", "no-layers")
    else:
        monkeypatch.setenv("TRTEXEC_DOUBLE_TYPE", "N/A due to dynamic shapes")
    session = TrtexecRuntime(precision, trtexec).load(model)
    assert session.how_it_ran() == HowItRan()
    assert session.run(FEEDS)["y"].shape == (2, 4)
    (said,) = session.how_it_ran().warnings
    assert said.startswith("the types of its kernels are not told")
    assert f"that it computes in {precision} is what its graph asks for" in said
    assert session.how_it_ran().types[0].startswith("the type is shown for 0 of 1 products (")
    assert session.how_it_ran().otherwise == ""


def test_without_layer_information_no_layer_has_a_time(
    trtexec: Trtexec, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRTEXEC_DOUBLE_MODE", "no-layers")
    with pytest.raises(InputError, match="told nothing of its layers"):
        TrtexecRuntime("fp32", trtexec).load(model).layer_times(FEEDS, 1, 0)


def test_what_a_session_was_told_is_of_all_its_runs(
    trtexec: Trtexec, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = TrtexecRuntime("fp32", trtexec).load(model)
    timer = session.timer(FEEDS)
    timer(1)
    types = ("the type is shown for 1 of 1 products",)
    assert session.how_it_ran() == HowItRan(types=types)
    monkeypatch.setenv("TRTEXEC_DOUBLE_MODE", "no-graph")
    timer(1)
    monkeypatch.setenv("TRTEXEC_DOUBLE_MODE", "doubts")
    timer(1)
    timer(1)
    told = session.how_it_ran()
    assert told.otherwise == "without its CUDA graph, whose capture failed"
    assert told.doubts == ("unstable", "bound by enqueue time")
    assert len(told.warnings) == 3


def test_the_log_of_a_run_that_failed_can_be_kept(make: Make, model, tmp_path: Path) -> None:
    session = TrtexecRuntime("fp32", make(mode="fail")).load(model)
    with pytest.raises(InputError, match="No importer registered for op: Huh"):
        session.run(FEEDS)
    session.keep_log(tmp_path / "kept" / "ln")
    assert "No importer registered" in (tmp_path / "kept" / "ln" / "trtexec.log").read_text()


@pytest.mark.parametrize("mode", ["fail", "crash", "garbage", "no-library", "silent", "waive"])
def test_what_did_not_pass_gives_no_time(make: Make, model, mode: str) -> None:
    session = TrtexecRuntime("fp32", make(mode=mode)).load(model)
    with pytest.raises(InputError, match="trtexec") as refusal:
        session.timer(FEEDS)
    assert "its log" not in str(refusal.value)  # it goes with the session


def test_passing_without_outputs_is_no_answer(make: Make, model) -> None:
    session = TrtexecRuntime("fp16", make()).load(model)  # the type of which the double tells
    with pytest.raises(InputError, match="passed but wrote no outputs"):
        session.run(FEEDS)


class TestOutput:
    def test_numbers_as_c_plus_plus_prints_them(self) -> None:
        text = '[ { "name" : "y", "dimensions" : "2x2", "values" : [ 1e-05, -nan, inf, -inf ] } ]'
        found = parse_output(text)["y"]
        np.testing.assert_array_equal(found, [[1e-5, np.nan], [np.inf, -np.inf]])

    def test_a_scalar_has_no_dimensions(self) -> None:
        assert parse_output('[{"name": "y", "dimensions": "", "values": [3]}]')["y"].shape == ()

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{}",
            '[{"name": "y", "dimensions": "2x2", "values": [1, 2, 3]}]',
            '[{"name": "y", "dimensions": "2", "values": [1, "a"]}]',
            '[{"dimensions": "2", "values": [1, 2]}]',
        ],
    )
    def test_other_forms_are_refused(self, text: str) -> None:
        with pytest.raises(InputError):
            assert parse_output(text) == "refused"
