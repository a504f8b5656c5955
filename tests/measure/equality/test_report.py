"""What a report says, to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import un_deploy
from tests.measure.equality.pairs import AFFINE, CHANNELS, replaced, small
from tests.support.graphs import build
from un_deploy.errors import InputError
from un_deploy.graph.model.model_file import save_model
from un_deploy.graph.proof.proof import Problem
from un_deploy.measure.equality import verify as module
from un_deploy.measure.equality.report import VerifyReport
from un_deploy.measure.equality.verify import verify
from un_deploy.pipeline.fold_model import fold

pytest.importorskip("onnxruntime")


class TestTheReport:
    def test_it_is_true_where_it_passed_and_reads_well(self) -> None:
        report = verify(small(), fold(small())[0])
        assert report and str(report).splitlines()[-1] == "proven"
        wrong = verify(small(), replaced(fold(small())[0], "c", lambda array: array[[1, 0, 2, 3]]))
        assert not wrong and str(wrong).splitlines()[-1] == "not equal"
        assert "'c'" in str(wrong)

    def test_json_has_passed_first(self) -> None:
        data = json.loads(verify(small(), fold(small())[0]).to_json())
        assert list(data)[:2] == ["passed", "verdict"]
        assert (data["passed"], data["verdict"], data["version"]) == (True, "proven", 2)

    def test_whose_operator_it_is_is_said_in_both_orders(self, tmp_path: Path) -> None:
        """A network with a LayerNormalization beside one whose norm is folded."""
        signature, sizes = "float[B,3,6] x => float[B,3,4] y", {"w": (CHANNELS, 4)}
        norm = "n = LayerNormalization(x, a, b) y = MatMul(n, w)"
        save_model(build(signature, norm, **AFFINE, **sizes), tmp_path / "ln.onnx")
        save_model(build(signature, "m = MatMul(x, w) y = Neg(m)", **sizes), tmp_path / "un.onnx")
        ln, un = "a LayerNormalization", "a MatMul"
        report = verify(tmp_path / "ln.onnx", tmp_path / "un.onnx")
        assert report.reason == (
            f"not a fold of ln.onnx: the operator 'MatMul_0' of un.onnx is {un}, "
            f"ln.onnx has {ln} ('LayerNormalization_0')"
        )
        (problem,) = report.problems
        assert problem.text.startswith("the output 'y' of un.onnx is not that of ln.onnx in onnxr")
        assert "ln.onnx's own error is" in problem.text
        report = verify(tmp_path / "un.onnx", tmp_path / "ln.onnx")
        assert report.reason == (
            f"not a fold of un.onnx: the operator 'LayerNormalization_0' of ln.onnx is {ln}, "
            f"un.onnx has {un} ('MatMul_0')"
        )

    @pytest.mark.parametrize("turned", [False, True])
    def test_whose_number_it_is_is_said_in_both_orders(self, turned: bool, tmp_path: Path) -> None:
        save_model(small(), tmp_path / "un.onnx")
        bad = replaced(fold(small())[0], "c", lambda array: array[[1, 0, 2, 3]])
        save_model(bad, tmp_path / "bad.onnx")
        files = [tmp_path / "un.onnx", tmp_path / "bad.onnx"]
        report = verify(*(files[::-1] if turned else files))
        assert report.verdict == "not equal"
        held = "in the other order: bad.onnx was held against un-deploy's fold of un.onnx"
        assert report.reason == (held if turned else "")
        text = report.problems[0].text
        assert text.startswith("'c' of bad.onnx holds ") and "un-deploy's fold of un.onnx" in text

    def test_a_norm_that_is_gone_is_of_the_network_that_had_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone, other = (
            Problem("Add_2", "stands for a norm that is gone"),
            Problem("MatMul_0", "is it"),
        )
        report = VerifyReport("cannot tell", problems=(gone, other))
        monkeypatch.setattr(module, "verify_fold", lambda original, folded: report)
        assert [problem.text for problem in verify(small(), fold(small())[0]).problems] == [
            "'Add_2' of the first network stands for a norm that is gone",
            "'MatMul_0' of the second network is it",
        ]

    def test_public_name(self) -> None:
        assert un_deploy.verify is verify

    def test_inputs_that_do_not_fit(self) -> None:
        with pytest.raises(InputError, match="the input 'x0' is missing"):
            verify(small(), small(), inputs={})
