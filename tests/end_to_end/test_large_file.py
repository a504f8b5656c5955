"""A model beyond protobuf's 2 GB: weights in external data, folded one at a time."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.graph.proof.prove import prove

WIDTH, LAYERS = 8192, 9  # 9 * 8192 * 8192 * 4 bytes = 2.4 GB


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine times norm and linear layer, the weights drawn anew whenever they are asked for."""
    body = "x0 = Identity(x) n = Norm(x0)"
    for layer in range(LAYERS):
        body += f" p{layer} = MatMul({'n' if layer == 0 else f'n{layer}'}, w{layer})"
        body += f" q{layer} = Add(p{layer}, c{layer})"
        if layer + 1 < LAYERS:
            body += f" r{layer} = Relu(q{layer}) m{layer + 1} = Mul(r{layer}, a)"
            body += f" n{layer + 1} = Add(m{layer + 1}, b)"
    body += f" y = Identity(q{LAYERS - 1})"
    vectors = dict.fromkeys(("a", "b", *(f"c{i}" for i in range(LAYERS))), (WIDTH,))
    matrices = {f"w{i}": (1,) for i in range(LAYERS)}
    model = example(f"(float[B,{WIDTH}] x) => (float[B,{WIDTH}] y)", body, {**vectors, **matrices})
    for index, name in enumerate(matrices):
        value = model.graph.initializers[name]
        value.const_value = ir.LazyTensor(
            lambda index=index, name=name: ir.tensor(_weight(index), name=name),
            dtype=ir.DataType.FLOAT,
            shape=ir.Shape((WIDTH, WIDTH)),
            name=name,
        )
        value.shape = ir.Shape((WIDTH, WIDTH))
    path = tmp_path_factory.mktemp("large") / "large.onnx"
    save_model(model, path)
    return path


def _weight(seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((WIDTH, WIDTH), dtype=np.float32)
    return drawn / np.float32(WIDTH**0.5)


@pytest.mark.slow
def test_external_data_beyond_2_gb_folds(large: Path, tmp_path: Path) -> None:
    assert sum(file.stat().st_size for file in large.parent.iterdir()) > 2**31
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    original = load_model(large)
    folded = fold_graph(load_model(large))
    save_model(folded.model, tmp_path / "folded.onnx")

    assert len(folded.report.folded) == LAYERS and folded.report.stayed == ()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    # The new weights once; of the old ones no more than one at a time, mapped from the file.
    assert grown < 1.2 * large.with_name("large.onnx.data").stat().st_size

    saved = load_model(tmp_path / "folded.onnx")
    proof = prove(original, replace(folded, model=saved))
    assert proof.passed, proof.problems
