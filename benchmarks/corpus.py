"""What becomes of ONNX files by others, by un-deploy and by four tools that also rewrite graphs?

    make corpus
    python -m benchmarks.corpus [--only rapidocr ...]

The files are those in the packages of constraints-corpus.txt, read out of the wheels in
build/corpus/wheels: nothing of others is installed but OnnxSlim and onnxsim, in build/corpus/venv,
beside ONNX Runtime, without which they fold less. With them are three networks of opset 9 that onnx
ships, whose weights operators fill with one number; and since no package with a file of opset 10
was found, one of those with drawn weights, converted.

Each tool rewrites each file in a process of its own, one thread, and is judged by what it saves:
the norms that un-deploy finds in it, the operators, and the largest difference from the original's
outputs in ONNX Runtime without optimisation, as a share of an output's largest entry, on drawn
inputs of several sizes, and on bars in rows like printed lines where they are images. Where no
entry is above 0.001, as of a Sigmoid that sees nothing, it is a share of that, since such a Sigmoid
is rounded to 6e-8. The CPU time and the largest resident memory are of the whole process, imports
included, and of un-deploy with its proof.

The result goes to benchmarks/results/corpus.json, one entry a file, and docs/corpus.md is made of
it. The exit code is 1 where un-deploy fails on a file or changes its outputs, or another tool
leaves fewer norms and the page says nothing of why.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import click
import numpy as np
import onnx
import onnx.version_converter
from onnx_ir.traversal import RecursiveGraphIterator

from benchmarks import corpus_page, entries
from tests.support import onnx_models
from un_deploy.arguments.names import as_options
from un_deploy.errors import InputError, one_line
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.measure.equality.sizes import Outputs, runs_at_several_sizes
from un_deploy.measure.speed.environment import environment

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "corpus"
RESULT = Path(__file__).parent / "results" / "corpus.json"
PAGE = ROOT / "docs" / "corpus.md"

FLOOR = 1e-3
LIGHT = ("densenet121", "resnet50", "shufflenet")
CONVERTED = "shufflenet"

THEIRS = str(BUILD / "venv" / "bin" / "python")
#: The interpreter and the code of each tool.
TOOLS: Mapping[str, tuple[str, str]] = {
    "un-deploy": (
        sys.executable,
        "from un_deploy.pipeline.fold_file import fold_file\nfold_file(source, target)",
    ),
    "OnnxSlim": (THEIRS, "import onnxslim\nonnxslim.slim(source, target)"),
    "onnxsim": (
        THEIRS,
        "import onnx, onnxsim\nonnx.save(onnxsim.simplify(onnx.load(source))[0], target)",
    ),
    "onnxscript": (
        sys.executable,
        "import onnx_ir\nfrom onnxscript import optimizer\nmodel = onnx_ir.load(source)\n"
        "optimizer.optimize(model)\nonnx_ir.save(model, target)",
    ),
    "ONNX Runtime": (
        sys.executable,
        "import onnxruntime as ort\noptions = ort.SessionOptions()\n"
        "options.intra_op_num_threads = 1\noptions.log_severity_level = 3\n"
        "options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED\n"
        "options.optimized_model_filepath = target\n"
        "ort.InferenceSession(source, options, providers=['CPUExecutionProvider'])",
    ),
}


def files(wheels: Path) -> Iterator[tuple[str, bytes]]:
    """Every ONNX file in these wheels, each once: package/file, and what is in it."""
    seen: set[bytes] = set()
    for path in sorted(wheels.glob("*.whl")):
        package = path.name.split("-")[0]
        with ZipFile(path) as wheel:
            for name in sorted(wheel.namelist()):
                content = wheel.read(name) if name.endswith(".onnx") else b""
                digest = hashlib.sha256(content).digest()
                if content and digest not in seen:
                    seen.add(digest)
                    yield f"{package}/{Path(name).name}", content


def light() -> Iterator[tuple[str, bytes]]:
    """The same of networks that onnx ships, and of one that it converts to opset 10."""
    for path in onnx_models.shipped("light"):
        name = onnx_models.name_of(path).split("/")[1]
        if name in LIGHT:
            yield f"onnx/{name}", path.read_bytes()
        if name == CONVERTED:
            constant = onnx_models.load(path, "drawn")
            converted = onnx.version_converter.convert_version(constant, 10)
            yield f"onnx/{name}, opset 10", converted.SerializeToString()


def versions() -> dict[str, str]:
    """Those of the other tools."""
    lines = (ROOT / "constraints-corpus.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    theirs = {tool: pinned[tool.lower()] for tool in ("OnnxSlim", "onnxsim")}
    return {**theirs, "onnxscript": version("onnxscript")}


def measure(name: str, content: bytes) -> dict[str, Any]:
    """What is in a file, and what each tool makes of it."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / "source.onnx"
        source.write_bytes(content)
        proto = onnx.load_from_string(content)
        entry: dict[str, Any] = {
            "file": name,
            "bytes": len(content),
            "opset": max(o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")),
            "original": counted(source),
            "left": left(source),
            "tools": {},
            "environment": environment() | versions(),
        }
        run = runner(source)
        try:
            feeds = inputs(name, source)
            wanted = [run(given) for given in feeds]
            entry["largest"] = min(
                float(np.abs(array).max()) for array in joined(wanted) if array.dtype.kind == "f"
            )
        except InputError as error:
            feeds, wanted, entry["not_run"] = [], [], one_line(error)
        for tool, (python, code) in TOOLS.items():
            target = Path(folder) / f"{tool}.onnx"
            entry["tools"][tool] = rewritten(python, code, source, target, feeds, wanted)
        return entry


def rewritten(
    python: str, code: str, source: Path, target: Path, feeds: list[Feeds], wanted: list[Outputs]
) -> dict[str, Any]:
    """What a tool makes of a file, or why it makes nothing of it."""
    try:
        code = f"import sys\nsource, target = sys.argv[1:]\n{code}\n"
        cpu, peak = entries.run(code, str(source), str(target), python=python)
    except click.ClickException as error:
        return {"failed": error.message.strip().splitlines()[-1]}
    found = {**counted(target), "cpu_s": round(cpu, 2), "peak_mb": round(peak), "error": None}
    try:
        run = runner(target)
        found["error"] = difference([run(given) for given in feeds], wanted) if feeds else None
    except InputError as error:
        found["failed"] = f"what it saves does not run: {one_line(error)}"
    return found


def inputs(name: str, path: Path) -> list[Feeds]:
    """Drawn inputs of several sizes that fit a file, and images that look like lines of text.

    Raises:
        InputError: none fit.
    """
    rng = np.random.default_rng(0)
    if name == "silero_vad/silero_vad.onnx":  # its sizes hang together, and with the rate
        return [
            {
                "input": rng.standard_normal((batch, size)).astype(np.float32),
                "state": rng.standard_normal((2, batch, 128)).astype(np.float32),
                "sr": np.array(rate),
            }
            for batch, size, rate in ((1, 576, 16000), (3, 576, 16000), (2, 288, 8000))
        ]
    drawn, _, _ = runs_at_several_sizes(to_ir(path)[0], runner(path))
    images = [{name: _lines(array) for name, array in feeds.items()} for feeds in drawn]
    pairs = list(zip(images, drawn, strict=True))
    return drawn + [i for i, d in pairs if any(i[name] is not d[name] for name in d)]


def _lines(array: np.ndarray) -> np.ndarray:
    """Bars in rows, where this is a batch of images."""
    if array.ndim != 4 or array.dtype != np.float32 or 3 not in (array.shape[1], array.shape[3]):
        return array
    height, width = array.shape[2:] if array.shape[1] == 3 else array.shape[1:3]
    rows, columns = np.arange(height)[:, None], np.arange(width)
    bars = np.where((rows // 16 % 2 == 1) & (columns // 2 % 2 == 1), -2.0, 2.0)
    shaped = bars if array.shape[1] == 3 else bars[..., None]
    return np.broadcast_to(shaped, array.shape).astype(np.float32)


def joined(runs: list[Outputs]) -> list[np.ndarray]:
    """All entries of each output over all runs; of floating ones `FLOOR` too."""
    flat = [np.concatenate([array.ravel() for array in out]) for out in zip(
        *(run.values() for run in runs), strict=True)]  # fmt: skip
    return [np.append(a, a.dtype.type(FLOOR)) if a.dtype.kind == "f" else a for a in flat]


def difference(got: list[Outputs], wanted: list[Outputs]) -> float:
    """The largest over all outputs, as shares of their largest entries in any run."""
    shapes = [[(a.shape, a.dtype) for run in runs for a in run.values()] for runs in (got, wanted)]
    if shapes[0] != shapes[1]:
        return float("inf")
    return onnx_models.largest_difference(joined(got), joined(wanted))


def runner(path: Path) -> Any:
    """Runs a file in ONNX Runtime without optimisation, from inputs to outputs by name."""
    session = None

    def run(feeds: Feeds) -> Outputs:
        nonlocal session
        try:
            session = session or onnx_models.plain_session(str(path))
            names = [output.name for output in session.get_outputs()]
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        except Exception as error:  # ONNX Runtime's have no class in common
            raise InputError(str(error)) from error

    return run


def counted(path: Path) -> dict[str, Any]:
    """Norms that constants could replace, norms that measure their input, and operators, by file.

    Scale and shift of a written-out LayerNormalization count with it, and not once more.
    """
    model, _ = to_ir(path)
    operators = sum(1 for _ in RecursiveGraphIterator(model.graph))
    report = fold_graph(model).report
    sites = [s for s in report.sites if s.kind == "norm"]
    nearly = [miss for miss in report.near_misses if miss.channels is not None]
    return {
        "norms": len(sites) + len(nearly),
        "measuring": len(report.measuring),
        "operators": operators,
    }


def left(path: Path) -> list[dict[str, str]]:
    """The norms that un-deploy leaves, or leaves a part of, and why."""
    report = fold_graph(to_ir(path)[0]).report
    stayed = [(s.label, s.reason) for s in report.stayed if s.kind in ("norm", "affine")]
    stayed += [(m.node, m.reason) for m in report.near_misses if m.channels is not None]
    stayed += [(m.label, f"{m.kind}: it measures its input") for m in report.measuring]
    return [{"norm": norm, "reason": reason} for norm, reason in stayed]


@click.command()
@click.option("--only", multiple=True, help="Files whose name contains this; by default all.")
def main(only: tuple[str, ...]) -> None:
    """Measure, write the result and its page, and say whether all is as it should be."""
    given = [*files(BUILD / "wheels"), *light()]
    order = [(name,) for name, _ in given]
    for name, content in given:
        if only and not any(part in name for part in only):
            continue
        entry = measure(name, content)
        entries.write(RESULT, entry, ("file",), order)
        print(name, *corpus_page.problems(entry), flush=True)
    found = entries.read(RESULT)
    PAGE.write_text(corpus_page.page(found), encoding="utf-8")
    sys.exit(1 if any(corpus_page.problems(entry) for entry in found) else 0)


if __name__ == "__main__":
    with as_options():  # the page is for readers of the command line
        main()
