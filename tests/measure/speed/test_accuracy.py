"""What a backend computes, against float64; and that a wrong graph would be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import NORM, build
from un_deploy.errors import InputError, ThresholdError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.measure.speed.accuracy import accuracies, require_accuracy
from un_deploy.measure.speed.variant import Kind, Variant
from un_deploy.runtime import in_double
from un_deploy.runtime.settings import RunSettings

pytest.importorskip("onnxruntime")

EPS = float(np.finfo(np.float32).eps)
FEEDS = {"x": np.linspace(-1, 1, 36, dtype=np.float32).reshape(2, 3, 6)}


@pytest.fixture
def variants(tmp_path: Path) -> list[Variant]:
    """UN unfolded, folded, and without the norm."""
    given = {"a": (6,), "b": (6,), "w": (6, 4), "c": (4,)}
    body = "h = MatMul({}, w)  y = Add(h, c)"
    signature = "float[2,3,6] x => float[2,3,4] y"
    unfolded = build(signature, f"{NORM}  {body.format('n')}", **given)
    models = {
        "unfolded": unfolded,
        "folded": fold_graph(unfolded.clone()).model,
        "none": build(signature, body.format("x"), w=(6, 4), c=(4,)),
    }
    return [variant(kind, model, tmp_path) for kind, model in models.items()]


def variant(kind: Kind, model, folder: Path) -> Variant:
    save_model(model, folder / f"{kind}.onnx", force=True)
    return Variant(kind, str(folder / f"{kind}.onnx"), "test", False, len(model.graph))


def test_all_but_no_norm_are_right(variants: list[Variant]) -> None:
    found = accuracies(variants, FEEDS, RunSettings("ort-cpu", threads=1))
    assert [one.kind for one in found] == ["unfolded", "folded"]
    assert all(one.output == "y" and one.error <= 8 * EPS for one in found)
    require_accuracy(found, 8 * EPS)


def test_a_folded_graph_that_is_wrong_is_seen_against_the_unfolded(
    variants: list[Variant], tmp_path: Path
) -> None:
    without = build(
        "float[2,3,6] x => float[2,3,4] y", "h = MatMul(x, w)  y = Add(h, c)", w=(6, 4), c=(4,)
    )
    wrong = [variants[0], variant("folded", without, tmp_path)]
    found = accuracies(wrong, FEEDS, RunSettings("ort-cpu", threads=1))
    assert found[1].error > 0.1
    with pytest.raises(ThresholdError, match=r"UN folded: output y is off by .* more than 1e-05"):
        require_accuracy(found, 1e-5)


def test_what_no_runtime_computes_in_float64_is_not_judged(
    variants: list[Variant], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_double, "installed_runtimes", list)
    found = accuracies(variants, FEEDS, RunSettings("ort-cpu", threads=1))
    assert [one.error for one in found] == [None, None]
    assert all("neither torch nor ONNX Runtime is installed" in one.against for one in found)
    with pytest.raises(ThresholdError, match=r"UN unfolded was not judged, .*: no runtime"):
        require_accuracy(found, 1.0)


def test_no_norm_that_overflows_is_refused(variants: list[Variant]) -> None:
    huge = {"x": np.full((2, 3, 6), np.float32(3e38))}
    with pytest.raises(InputError, match="without norms the network overflows at h"):
        accuracies(variants[2:], huge, RunSettings("ort-cpu", threads=1))


def test_float64_is_not_the_backend_that_is_judged(tmp_path: Path) -> None:
    """x + 1e8 - 1e8 is x in float64 and far from it in float32."""
    big = np.array(1e8, np.float32)
    model = build("float[2,3,6] x => float[2,3,6] y", "z = Add(x, c)  y = Sub(z, c)", c=big)
    (only,) = accuracies([variant("ln", model, tmp_path)], FEEDS, RunSettings("ort-cpu"))
    assert only.error == pytest.approx(1, abs=0.1)


def test_a_quantised_network_has_no_float64_form(tmp_path: Path) -> None:
    body = "h = MatMul(x, w) k = QuantizeLinear(h, s) y = DequantizeLinear(k, s)"
    given = {"w": (6, 4), "s": np.array(0.5, np.float32)}
    model = build("float[2,3,6] x => float[2,3,4] y", body, **given)
    (found,) = accuracies([variant("folded", model, tmp_path)], FEEDS, RunSettings("ort-cpu"))
    counts = "1 QuantizeLinear, 1 DequantizeLinear"
    assert (found.error, found.against) == (None, f"quantised ({counts}): it has no float64 form")
