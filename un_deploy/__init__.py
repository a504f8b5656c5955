"""un-deploy: from Layer Normalization to none at all in production, and the proof of it.

The public names load their room when first used, so `import un_deploy` costs nothing and the
base install needs no PyTorch.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from un_deploy.version import __version__ as __version__

# ONNX Runtime reads this when it is imported, and else tells its maker what it runs. It stands here
# since every process of ours, children included, comes by before it can import ONNX Runtime.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOME = {
    "BuildOptions": "un_deploy.engines.building.options",
    "BuildReport": "un_deploy.pipeline.build",
    "CompareReport": "un_deploy.measure.speed.compare_report",
    "Conversion": "un_deploy.nn",
    "ConvertReport": "un_deploy.pipeline.convert_report",
    "DemoReport": "un_deploy.pipeline.demo",
    "DoctorReport": "un_deploy.pipeline.doctor",
    "ExportReport": "un_deploy.pipeline.export.export",
    "FileReport": "un_deploy.pipeline.fold_file",
    "FoldReport": "un_deploy.graph.fold.report",
    "InputError": "un_deploy.errors",
    "InspectReport": "un_deploy.pipeline.inspect_file",
    "IoFormat": "un_deploy.engines.building.options",
    "MissingPackageError": "un_deploy.errors",
    "ProfileReport": "un_deploy.pipeline.profile",
    "Range": "un_deploy.engines.profiles",
    "StripReport": "un_deploy.graph.strip.strip",
    "Surgery": "un_deploy.pipeline.build",
    "TargetError": "un_deploy.errors",
    "ThresholdError": "un_deploy.errors",
    "TritonReport": "un_deploy.pipeline.triton.repository",
    "UnDeployError": "un_deploy.errors",
    "UnifiedNorm": "un_deploy.nn",
    "UntrainedError": "un_deploy.errors",
    "VerificationError": "un_deploy.errors",
    "VerifyReport": "un_deploy.measure.equality.report",
    "build": "un_deploy.pipeline.build",
    "compare": "un_deploy.pipeline.compare.compare",
    "convert_norms": "un_deploy.nn",
    "export": "un_deploy.pipeline.export.export",
    "fold": "un_deploy.pipeline.fold_model",
    "inspect": "un_deploy.pipeline.inspect_file:inspect_file",
    "profile": "un_deploy.pipeline.profile",
    "recalibrate": "un_deploy.nn",
    "report": "un_deploy.pipeline.compare.page",
    "save": "un_deploy.pipeline.save",
    "strip": "un_deploy.graph.strip.strip",
    "to_torch": "un_deploy.runtime.torch_graph",
    "verify": "un_deploy.measure.equality.verify",
}
"""Each public name, and the module that it is loaded from, with its name there if it is another."""

__all__ = [
    "BuildOptions",
    "BuildReport",
    "CompareReport",
    "Conversion",
    "ConvertReport",
    "DemoReport",
    "DoctorReport",
    "ExportReport",
    "FileReport",
    "FoldReport",
    "InputError",
    "InspectReport",
    "IoFormat",
    "MissingPackageError",
    "ProfileReport",
    "Range",
    "StripReport",
    "Surgery",
    "TargetError",
    "ThresholdError",
    "TritonReport",
    "UnDeployError",
    "UnifiedNorm",
    "UntrainedError",
    "VerificationError",
    "VerifyReport",
    "build",
    "compare",
    "convert_norms",
    "export",
    "fold",
    "inspect",
    "profile",
    "recalibrate",
    "report",
    "save",
    "strip",
    "to_torch",
    "verify",
]

if TYPE_CHECKING:
    from un_deploy.engines.building.options import BuildOptions, IoFormat
    from un_deploy.engines.profiles import Range
    from un_deploy.errors import (
        InputError,
        MissingPackageError,
        TargetError,
        ThresholdError,
        UnDeployError,
        UntrainedError,
        VerificationError,
    )
    from un_deploy.graph.fold.report import FoldReport
    from un_deploy.graph.strip.strip import StripReport, strip
    from un_deploy.measure.equality.report import VerifyReport
    from un_deploy.measure.equality.verify import verify
    from un_deploy.measure.speed.compare_report import CompareReport
    from un_deploy.nn import Conversion, UnifiedNorm, convert_norms, recalibrate
    from un_deploy.pipeline.build import BuildReport, Surgery, build
    from un_deploy.pipeline.compare.compare import compare
    from un_deploy.pipeline.compare.page import report
    from un_deploy.pipeline.convert_report import ConvertReport
    from un_deploy.pipeline.demo import DemoReport
    from un_deploy.pipeline.doctor import DoctorReport
    from un_deploy.pipeline.export.export import ExportReport, export
    from un_deploy.pipeline.fold_file import FileReport
    from un_deploy.pipeline.fold_model import fold
    from un_deploy.pipeline.inspect_file import InspectReport
    from un_deploy.pipeline.inspect_file import inspect_file as inspect
    from un_deploy.pipeline.profile import ProfileReport, profile
    from un_deploy.pipeline.save import save
    from un_deploy.pipeline.triton.repository import TritonReport
    from un_deploy.runtime.torch_graph import to_torch


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'un_deploy' has no attribute {name!r}")
    from un_deploy.errors import needs

    module, _, attribute = _HOME[name].partition(":")
    with needs("torch"):  # the base install has all that the other names import
        return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
