"""Folds that are killed at random moments, and what is in the target's folder then."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from tests.support.graphs import build
from un_deploy.cli import main
from un_deploy.private_folder import PREFIX

SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP")

#: Weights in the model file, or in one beside it: one file to replace, or two.
FORMS = ("inside", "beside")

Contents = Mapping[str, bytes]
_CONTEXT = multiprocessing.get_context("fork")
_TICK = 0.0002
_SOURCE, _TARGET = "model.onnx", "out/folded.onnx"


@dataclass(frozen=True)
class KilledRun:
    """What became of one run.

    Attributes:
        moment: seconds from the start, or from when it began to write.
        ended: the exit code, or the signal as a negative number; 0: the signal came too late.
        target: "old" or "new".
        left: whether something of it stood beside the target.
        wrong: what should not be, if anything.
    """

    form: str
    signal: str
    writing: bool
    moment: float
    ended: int
    target: str
    left: bool
    wrong: str


class Place:
    """A folder with a model of one form, and what its target holds before and after a whole run.

    Args:
        width: of the model's four matrices.
    """

    def __init__(self, folder: Path, form: str, width: int) -> None:
        self.folder, self.form, self.out = folder, form, folder / "out"
        self.out.mkdir(parents=True)
        text = "".join(
            f"m{i} = Mul(x{i}, a{i}) n{i} = Add(m{i}, b{i}) x{i + 1} = MatMul(n{i}, w{i}) "
            for i in range(4)
        )
        shapes = {"a": (width,), "b": (width,), "w": (width, width)}
        weights = {f"{name}{i}": shape for name, shape in shapes.items() for i in range(4)}
        signature = f"float[B,{width}] x0 => float[B,99] y"
        # The last matrix is not rewritten: without it nothing would be left beside the model.
        model = build(signature, f"{text} r = Relu(x4) y = MatMul(r, k)", k=(width, 99), **weights)
        beside = form == "beside"
        onnx.save(
            ir.to_proto(model), folder / _SOURCE, save_as_external_data=beside, location="weights"
        )
        self.seconds, self.writing = self._timed()
        self.new = self.contents()
        self.old = dict.fromkeys(self.new, b"old")
        assert list(self.new) == (
            ["folded.onnx", "folded.onnx.data"] if beside else ["folded.onnx"]
        )

    def contents(self) -> Contents:
        """What the target's folder holds, without what is hidden."""
        files = sorted(path for path in self.out.iterdir() if not path.name.startswith("."))
        return {path.name: path.read_bytes() for path in files}

    def left(self) -> bool:
        """Whether something of a run stands beside its target."""
        return any(path.name.startswith(PREFIX) for path in self.out.iterdir())

    def run(self) -> None:
        """A fold that nobody kills."""
        process = self._started()
        process.join()
        assert process.exitcode == 0, process.exitcode

    def _timed(self) -> tuple[float, float]:
        """Seconds that a run takes, and how many of them it writes."""
        start = time.perf_counter()
        process = self._started()
        while not self.left():
            time.sleep(_TICK)
        writes = time.perf_counter()
        process.join()
        end = time.perf_counter()
        return end - start, end - writes

    def _started(self) -> multiprocessing.process.BaseProcess:
        def fold() -> None:
            os.chdir(self.folder)
            with ExitStack() as stack:
                nowhere = stack.enter_context(Path(os.devnull).open("w"))
                stack.enter_context(redirect_stdout(nowhere))
                stack.enter_context(redirect_stderr(nowhere))
                main(["fold", _SOURCE, "-o", _TARGET, "--force"])

        process = _CONTEXT.Process(target=fold)
        process.start()
        return process

    def killed(self, name: str, writing: bool, draw: np.random.Generator) -> KilledRun:
        """Kill a run at a random moment, look at the target, and let another one run to its end.

        Args:
            name: of the signal.
            writing: count the moment from when it begins to write, not from its start.
        """
        for file in self.out.iterdir():
            file.unlink()
        for file_name, data in self.old.items():
            (self.out / file_name).write_bytes(data)
        process = self._started()
        while writing and process.is_alive() and not self.left():
            time.sleep(_TICK)
        moment = float(draw.uniform(0, self.writing if writing else self.seconds))
        time.sleep(moment)
        with suppress(ProcessLookupError):
            os.kill(process.pid or 0, getattr(signal, name))
        process.join()
        held, left = self.contents(), self.left()
        found = "old" if held == self.old else "new" if held == self.new else "neither"
        wrong = "" if found != "neither" else f"the target is {sorted(held)}, neither old nor new"
        if left and name != "SIGKILL":
            wrong += " what it wrote was not cleared away"
        self.run()
        if self.left() or self.contents() != self.new:
            wrong += " the next run did not leave the new files alone"
        ended = process.exitcode if process.exitcode is not None else 0
        return KilledRun(self.form, name, writing, moment, ended, found, left, wrong.strip())
