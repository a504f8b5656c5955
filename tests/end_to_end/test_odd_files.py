"""Whatever ONNX Runtime loads is read, folded, proven, and loads as before, however odd it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.support.odd_files import WAYS
from un_deploy.pipeline.fold_file import fold_file
from un_deploy.pipeline.fold_model import fold
from un_deploy.pipeline.inspect_file import inspect_file

onnxruntime = pytest.importorskip("onnxruntime")

#: What it does not load: two nodes of one name, and bodies that onnx's checker refuses.
NOT_LOADED = {"all_operators_of_one_name", "bodies_without_names", "nodes_of_a_body_in_reverse"}

#: What the checker refuses in the file, and onnx-ir has made usual before the checker is asked.
NOT_SEEN = {
    "a_weight_twice",
    "operators_of_the_domain_ai_onnx",
    "weights_of_ir_version_3_that_are_no_inputs",
}


@pytest.mark.parametrize("name", sorted(WAYS))
def test_an_odd_file_is_folded(name: str, tmp_path: Path) -> None:
    odd = WAYS[name]()
    source, target = tmp_path / "odd.onnx", tmp_path / "folded.onnx"
    onnx.save(odd.model, source)
    assert len(inspect_file(source).fold.folded) == odd.folds

    report = fold_file(source, target)

    assert report.verification is not None and report.verification.verdict == "proven"
    assert len(report.fold.folded) == odd.folds
    folded = onnx.load(target)
    assert not odd.gone & {node.op_type for node in folded.graph.node}
    if accepts(odd.model):
        assert accepts(folded)
    elif name not in NOT_SEEN:
        assert any("onnx's checker refuses" in note for note in report.fold.notes)
    if name not in NOT_LOADED:
        before, after = outputs(source, odd.feeds), outputs(target, odd.feeds)
        assert len(before) == len(after) > 0
        for old, new in zip(before, after, strict=True):
            assert_alike(old, new)


@pytest.mark.parametrize("name", sorted(WAYS))
def test_an_odd_model_in_memory_is_folded_and_left_as_it_was(name: str) -> None:
    odd = WAYS[name]()
    given = odd.model.SerializeToString(deterministic=True)
    folded, report = fold(odd.model)
    assert len(report.folded) == odd.folds
    assert odd.model.SerializeToString(deterministic=True) == given
    ends = [[[v.name for v in graph.output]] for graph in (odd.model.graph, folded.graph)]
    assert ends[0] == ends[1]


def test_there_are_many_ways_to_be_odd() -> None:
    assert len(WAYS) >= 100
    assert WAYS.keys() >= NOT_LOADED | NOT_SEEN


def accepts(model: onnx.ModelProto) -> bool:
    """Whether onnx's checker does."""
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError:
        return False
    return True


def outputs(path: Path, feeds: Mapping[str, object]) -> list[Any]:
    """In ONNX Runtime, which has seen nothing of the fold."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, dict(feeds))
    return found


def assert_alike(old: Any, new: Any) -> None:
    """Tensors, or lists and dictionaries of them."""
    assert type(old) is type(new)
    if isinstance(old, dict):
        assert old.keys() == new.keys()
        old, new = list(old.values()), list(new.values())
    if isinstance(old, list):
        for one, other in zip(old, new, strict=True):
            assert_alike(one, other)
        return
    if np.asarray(old).dtype.kind in "fiub":
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(new, old)
