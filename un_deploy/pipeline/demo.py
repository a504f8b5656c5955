"""The demo: exports, folds, checks and times the two trained networks that come with the package.

vit_micro, trained on Fashion-MNIST with Layer and with Unified Normalization, is exported; the
second is folded and proven; all of them classify the kept test images, and are timed against each
other in ONNX Runtime.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from un_deploy.errors import TargetError, VerificationError, needs
from un_deploy.files import atomic_write_text, check_folder_to_fill
from un_deploy.graph.model.model_file import load_model
from un_deploy.json_form import JsonForm
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant import Kind
from un_deploy.pipeline.compare.compare import compare
from un_deploy.pipeline.export.check_export import tolerance
from un_deploy.pipeline.export.export import export
from un_deploy.pipeline.export.forward import as_tensors, outputs_of
from un_deploy.pipeline.export.model_spec import load_module, recipes_dir
from un_deploy.pipeline.export.norm_names import Norm
from un_deploy.pipeline.fold_file import FileReport, fold_file
from un_deploy.printed import Part, Printed, Table
from un_deploy.python_file import load_object
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

if TYPE_CHECKING:
    from torch import nn

LOG = logging.getLogger(__name__)

_BATCH = 250
_PROVEN_ON = 4
_TIMED_ON = 8
_INPUT, _OUTPUT = "pixel_values", "logits"

Classifier = Callable[[np.ndarray], np.ndarray]
"""Images (n, 1, 28, 28) -> logits (n, 10)."""


@dataclass(frozen=True)
class DemoNetwork:
    """One form of the network.

    Attributes:
        accuracy: share of the kept images it classifies right.
        changed: how many predictions differ from PyTorch's of the same network, near ties aside;
            None for PyTorch itself.
        operators: in the graph; None for PyTorch.
    """

    name: str
    accuracy: float
    changed: int | None
    operators: int | None
    file: str


@dataclass(frozen=True)
class DemoReport(JsonForm, Printed):
    """What the demo saw.

    Attributes:
        images: how many were classified.
        tie: a prediction of the UN network may change where PyTorch's top two logits differ by
            less than this.
        near_ties: the number of such images.
        fold: what folded where, and the proof.
        comparison: the times of LN, UN unfolded, UN folded and no norm.
        report: the file that holds all this as JSON.
    """

    variants: tuple[DemoNetwork, ...]
    images: int
    tie: float
    near_ties: int
    fold: FileReport
    comparison: CompareReport
    report: str
    seconds: float
    version: int = 1

    def told(self) -> Iterator[Part]:
        """What folded, how each network classifies, how long it takes, and where the files are."""
        yield from self.classified_told()
        yield from self.comparison.told()
        yield from self.files_told()

    def classified_told(self) -> Iterator[Part]:
        """What folded, its proof, and how each network classifies."""
        yield from self.fold.fold.told(self.fold.modules)
        if self.fold.verification:
            yield from self.fold.verification.told()
        rows = [
            (
                variant.name,
                f"{variant.accuracy:.2%}",
                "" if variant.changed is None else str(variant.changed),
                "" if variant.operators is None else str(variant.operators),
            )
            for variant in self.variants
        ]
        yield Table(("network", ">accuracy", ">changed", ">operators"), rows)
        yield (
            f"Accuracy on {self.images:,} images. Changed: predictions other than PyTorch's, where "
            f"the top two logits differ by {self.tie:.1g} or more ({self.near_ties} images are "
            "closer)."
        )

    def files_told(self) -> Iterator[Part]:
        """Where the files are."""
        for variant in self.variants:
            yield f"{variant.name:15}  {variant.file}"
        yield f"{'Report':15}  {self.report}"
        yield f"Done in {self.seconds:.0f} s."


def demo(
    out: str | os.PathLike[str], *, force: bool = False, builds: int = 5, rounds: int = 20
) -> DemoReport:
    """Export, fold, prove, classify and compare; the models and the report go to a folder.

    Args:
        out: the folder; it is made.
        force: replace the files of an earlier demo in it.
        builds, rounds: of the comparison; see `un_deploy.pipeline.compare.compare.compare`.

    Raises:
        TargetError: the folder exists, or cannot be written.
        MissingPackageError: torch, onnxscript or onnxruntime is not installed.
        VerificationError: an export or the fold is not equal to the network, or the folded one
            classifies an image that is no near tie differently.
    """
    started = time.perf_counter()
    with needs("torch,cpu"):
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
        import torch  # noqa: F401
    out = Path(out)
    _make(out, force)
    recipes = recipes_dir()
    images: np.ndarray = load_object(f"{recipes}/fashion_mnist/data.py:kept_inputs")()[_INPUT]
    labels: np.ndarray = load_object(f"{recipes}/fashion_mnist/data.py:load_kept")()[1]
    proven_on = {_INPUT: images[:_PROVEN_ON]}

    variants: list[DemoNetwork] = []
    files: dict[Kind, Path] = {}
    norms: tuple[Norm, ...] = ("ln", "un")
    for norm in norms:
        checkpoint = recipes / "checkpoints" / f"vit_micro_{norm}_seed0.pt"
        LOG.info("Exporting vit_micro with %s", norm.upper())
        module = load_module(f"{recipes}/vit.py:vit_micro", norm=norm, checkpoint=checkpoint)
        logits = _batched(_torch(module), images)
        accuracy = _accuracy(logits, labels)
        variants.append(
            DemoNetwork(f"PyTorch, {norm.upper()}", accuracy, None, None, str(checkpoint))
        )
        file = out / f"vit_micro_{norm}.onnx"
        export(module, file, inputs=proven_on, fold=False, force=force)
        variants.append(_variant(f"ONNX, {norm.upper()}", file, images, labels, logits))
        files["ln" if norm == "ln" else "unfolded"] = file
    LOG.info("Folding")
    folded = out / "vit_micro_un_folded.onnx"  # of the last one, UN, as are its logits
    fold = fold_file(file, folded, inputs=proven_on, force=force)
    variants.append(_variant("ONNX, UN folded", folded, images, labels, logits))
    comparison = compare(
        files={**files, "folded": folded},
        backend="ort-cpu",
        inputs={_INPUT: images[:_TIMED_ON]},
        builds=builds,
        rounds=rounds,
        progress=LOG.info,
    )

    report = DemoReport(
        variants=tuple(variants),
        images=len(images),
        tie=_tie(logits),
        near_ties=int(np.sum(~_clear(logits))),
        fold=fold,
        comparison=comparison,
        report=str(out / "report.json"),
        seconds=time.perf_counter() - started,
    )
    atomic_write_text(report.report, report.to_json(), force=force)
    return report


def _variant(
    name: str, file: Path, images: np.ndarray, labels: np.ndarray, expected: np.ndarray
) -> DemoNetwork:
    """Classify by a graph, and count the predictions that PyTorch's logits contradict.

    Raises:
        VerificationError: there are any.
    """
    model = load_model(file)
    logits = _batched(_onnxruntime(file), images)
    changed = int(np.sum((logits.argmax(1) != expected.argmax(1)) & _clear(expected)))
    if changed:
        raise VerificationError(f"{file} classifies {changed} images as PyTorch does not")
    return DemoNetwork(name, _accuracy(logits, labels), changed, len(model.graph), str(file))


def _tie(logits: np.ndarray) -> float:
    """Two logits that are closer may change places: each is off by at most half of this."""
    return 2 * tolerance(float(np.finfo(np.float32).eps)) * float(np.abs(logits).max())


def _clear(logits: np.ndarray) -> np.ndarray:
    """Which images are no near ties."""
    top = np.sort(logits, axis=1)
    clear: np.ndarray = top[:, -1] - top[:, -2] >= _tie(logits)
    return clear


def _make(out: Path, force: bool) -> None:
    check_folder_to_fill(out, force=force)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(f"the folder {out} cannot be made: {error.strerror}") from error


def _torch(module: nn.Module) -> Classifier:
    return lambda images: outputs_of(module, as_tensors({_INPUT: images}))[_OUTPUT].numpy()


def _onnxruntime(file: Path) -> Classifier:
    session = OnnxRuntime().load(file)
    return lambda images: session.run({_INPUT: images})[_OUTPUT]


def _batched(classify: Classifier, images: np.ndarray) -> np.ndarray:
    starts = range(0, len(images), _BATCH)
    return np.concatenate([classify(images[start : start + _BATCH]) for start in starts])


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(logits.argmax(1) == labels))
