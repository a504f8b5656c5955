"""Files come out of wheels once each; each tool is judged by what it saves; the page tells it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import onnx_ir as ir
import pytest

from benchmarks import corpus, corpus_page
from tests.support.graphs import build


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A linear layer with a norm, and a scale and shift behind a Sigmoid that stay."""
    model = build(
        "float[N,4] x => float[N,4] y",
        "p = MatMul(x, w) q = Mul(p, a) r = Add(q, b) s = Sigmoid(r) m = Mul(s, c) n = Add(m, d) "
        "y = Sigmoid(n)",
        w=(4, 4),
        a=(4,),
        b=(4,),
        c=(4,),
        d=(4,),
    )
    path = tmp_path / "source.onnx"
    ir.save(model, path)
    return path


def test_each_file_of_the_wheels_is_read_once(tmp_path: Path) -> None:
    for package, held in {
        "two": {"two/models/b.onnx": b"22", "two/a.onnx": b"1", "two/c.py": b"3"},
        "one": {"one/again.onnx": b"1", "one/empty.onnx": b""},
    }.items():
        with ZipFile(tmp_path / f"{package}-1.0-py3-none-any.whl", "w") as wheel:
            for name, content in held.items():
                wheel.writestr(name, content)
    assert list(corpus.files(tmp_path)) == [("one/again.onnx", b"1"), ("two/b.onnx", b"22")]


def test_norms_and_operators_are_counted_in_a_file(source: Path) -> None:
    assert corpus.counted(source) == {"norms": 2, "measuring": 0, "operators": 7}
    (stayed,) = corpus.left(source)
    assert "Sigmoid" in stayed["reason"]


WRITTEN_OUT = """
u = ReduceMean<axes=[-1]>(x) z = Sub(x, u) q = Mul(z, z) v = ReduceMean<axes=[-1]>(q)
e = Add(v, eps) k = Sqrt(e) n = Div(z, k) m = Mul(n, a) y = Add(m, b)
"""


@pytest.mark.parametrize("norm", ["y = LayerNormalization(x, a, b)", WRITTEN_OUT])
def test_a_norm_that_measures_counts_once_with_its_scale(tmp_path: Path, norm: str) -> None:
    given: dict[str, Any] = {"eps": np.array(1e-5)} if "eps" in norm else {}
    model = build("float[N,4] x => float[N,4] y", norm, opset=17, a=(4,), b=(4,), **given)
    ir.save(model, tmp_path / "norm.onnx")
    found = corpus.counted(tmp_path / "norm.onnx")
    assert (found["norms"], found["measuring"]) == (0, 1)


def test_a_tool_is_judged_by_what_it_saves(source: Path) -> None:
    feeds = [{"x": np.ones((2, 4), np.float32)}]
    wanted = [corpus.runner(source)(feeds[0])]

    def made(code: str) -> dict[str, Any]:
        target = source.with_name("target.onnx")
        return corpus.rewritten(sys.executable, code, source, target, feeds, wanted)

    ours = made(corpus.TOOLS["un-deploy"][1])
    assert ours["norms"] == 1 and ours["operators"] == 6 and 0 <= ours["error"] < 1e-6
    changed = made(
        "import onnx\nmodel = onnx.load(source)\nmodel.graph.node[-1].op_type = 'Relu'\n"
        "onnx.save(model, target)"
    )
    assert changed["error"] > 0.1
    assert made("raise ValueError('no such thing')") == {"failed": "ValueError: no such thing"}
    broken = made("import shutil\nshutil.copy(source, target)\nraise SystemExit(3)")
    assert "failed" in broken


def test_an_output_near_zero_is_judged_by_what_it_is_elsewhere() -> None:
    wanted = [{"y": np.array(values, np.float32)} for values in ([1e-6, 2e-6], [0.5])]
    got = [{"y": np.array(values, np.float32)} for values in ([2e-6, 2e-6], [0.5])]
    assert corpus.difference(got, wanted) == pytest.approx(2e-6, rel=1e-3)
    assert corpus.difference(got[:1], wanted[:1]) == pytest.approx(1e-3, rel=1e-3)
    other = [{"y": np.array([[2e-6, 2e-6]], np.float32)}, got[1]]
    assert corpus.difference(other, wanted) == float("inf")


def test_images_are_fed_as_lines_of_bars_too(tmp_path: Path) -> None:
    ir.save(build("float[N,3,H,64] x => float[N,3,H,64] y", "y = Relu(x)"), tmp_path / "net.onnx")
    feeds = corpus.inputs("net", tmp_path / "net.onnx")
    assert len(feeds) == 4 and len({given["x"].shape for given in feeds[:2]}) == 2
    tall = corpus._lines(np.zeros((1, 32, 8, 3), np.float32))
    assert tall.shape == (1, 32, 8, 3) and tall[0, 16, :, 1].tolist() == [2, 2, -2, -2] * 2
    assert np.all(tall[0, :16] == 2)


def entry(file: str = "pack/net.onnx", **tools: dict[str, Any]) -> dict[str, Any]:
    """One of the result's, with tools of these figures."""
    plain = {"norms": 2, "measuring": 1, "operators": 9, "cpu_s": 1.0, "peak_mb": 90, "error": 0.0}
    return {
        "file": file,
        "opset": 9,
        "original": {"norms": 3, "measuring": 1, "operators": 12},
        "left": [{"norm": n, "reason": "a | b"} for n in ("first", "second")],
        "environment": {"cpu": "a processor", "gpu": None},
        "tools": {tool: plain | figures for tool, figures in tools.items()},
    }


def test_the_page_has_the_norms_of_each_tool_and_why_they_stay() -> None:
    wrong = entry(**{"un-deploy": {}, "Other": {"norms": 1, "error": 0.5}})
    page = corpus_page.page([wrong])
    assert "| pack/net.onnx | 9 | 3 (1) | 2 (1) | 1 (1) |" in page
    assert "|  | Other | 9 | **5.0e-01** | 1.0 | 90 |" in page
    assert "of 3 norms are left: un-deploy 2, Other 1." in page
    assert "- nowhere" in page  # what is wrong leaves no fewer
    assert "| pack/net.onnx | 2: `first`, `second` | a / b |" in page


def test_fewer_norms_need_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    better = entry(**{"un-deploy": {}, "Other": {"norms": 1}})
    assert corpus_page.problems(better) == ["Other leaves fewer norms, and nothing says why"]
    monkeypatch.setattr(corpus_page, "WHY", {("pack/net.onnx", "Other"): "it guesses"})
    assert corpus_page.problems(better) == []
    assert "- pack/net.onnx, Other: it guesses" in corpus_page.page([better])


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"error": 1e-3}, "un-deploy: the outputs differ by 1.0e-03"),
        ({"failed": "refused"}, "un-deploy: refused"),
    ],
)
def test_what_un_deploy_does_wrong_is_a_problem(figures: dict[str, Any], said: str) -> None:
    assert corpus_page.problems(entry(**{"un-deploy": figures})) == [said]


def test_the_page_is_made_of_the_result() -> None:
    found = corpus.entries.read(corpus.RESULT)
    assert corpus.PAGE.read_text(encoding="utf-8") == corpus_page.page(found)
    assert {e["opset"] for e in found} >= {9, 10}
    assert not any(corpus_page.problems(e) for e in found)
