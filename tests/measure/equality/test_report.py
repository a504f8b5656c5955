"""What a report says, to people and to programs."""

from __future__ import annotations

import json

import pytest

import un_deploy
from tests.measure.equality.pairs import (
    replaced,
    small,
)
from un_deploy.errors import InputError
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

    def test_public_name(self) -> None:
        assert un_deploy.verify is verify

    def test_inputs_that_do_not_fit(self) -> None:
        with pytest.raises(InputError, match="the input 'x0' is missing"):
            verify(small(), small(), inputs={})
