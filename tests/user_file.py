"""What a user writes with every public name: `make lint` checks its types as `mypy --strict` does.

It is read by the type checker alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import onnx_ir as ir
from torch import Tensor, nn
from typing_extensions import assert_type

import un_deploy
from un_deploy import (
    BuildOptions,
    BuildReport,
    CompareReport,
    Conversion,
    ConvertReport,
    DemoReport,
    DoctorReport,
    ExportReport,
    FileReport,
    FoldReport,
    InputError,
    InspectReport,
    IoFormat,
    MissingPackageError,
    ProfileReport,
    Range,
    StripReport,
    Surgery,
    TargetError,
    ThresholdError,
    TritonReport,
    UnDeployError,
    UnifiedNorm,
    UntrainedError,
    VerificationError,
    VerifyReport,
)


def trained(batches: list[Mapping[str, Tensor]]) -> nn.Module:
    """A network with UN in the place of its LayerNorms."""
    model = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
    conversion = un_deploy.convert_norms(model, keep="head.*")
    assert_type(conversion, Conversion)
    conversion.left["0"].upper()
    un_deploy.recalibrate(model, batches)
    norm = UnifiedNorm(8)
    model.append(norm)
    return model


def exported(model: nn.Module, x: Tensor) -> FoldReport | None:
    """From PyTorch to a file, and the report of it."""
    try:
        report = un_deploy.export(model, "model.onnx", inputs={"x": x}, require_folded="all")
    except UntrainedError:
        report = un_deploy.export(model, "model.onnx", inputs="data.npz", untrained=True)
    except (TargetError, VerificationError, ThresholdError, MissingPackageError) as error:
        raise SystemExit(error.exit_code) from error
    assert_type(report, ExportReport)
    return report.fold


def folded(path: str, model: ir.Model, proto: onnx.ModelProto, graph: Any) -> VerifyReport:
    """A model is given back in the kind it came in, and saved.

    onnx_graphsurgeon has no types: of its Graph nothing is known here.
    """
    assert_type(un_deploy.fold(path), tuple[ir.Model, FoldReport])
    assert_type(un_deploy.fold(model, keep=["norm"]), tuple[ir.Model, FoldReport])
    assert_type(un_deploy.fold(proto, verify=False), tuple[onnx.ModelProto, FoldReport])
    assert_type(un_deploy.strip(path), tuple[ir.Model, StripReport])
    assert_type(un_deploy.strip(proto, nodes=["norm"]), tuple[onnx.ModelProto, StripReport])
    result, _ = un_deploy.fold(graph)
    for one in (model, proto, result):
        un_deploy.save(one, "folded.onnx", force=True)
    assert_type(un_deploy.inspect(path), InspectReport)
    report = un_deploy.verify(proto, path, seed=3)
    assert_type(report, VerifyReport)
    report.require("proven")
    return report


def built(path: str) -> BuildReport:
    """A plan for batches of 1 to 8."""
    options = BuildOptions(input_formats=(IoFormat("fp16", ("chw",)),))
    report = un_deploy.build(
        path,
        "model.plan",
        precision="fp16",
        profiles=[{"x": Range(min=(1, 8), opt=(4, 8), max=(8, 8))}],
        options=options,
        surgery=Surgery(outputs=("hidden",)),
    )
    assert_type(report, BuildReport)
    return report


def measured(path: str) -> CompareReport:
    """How fast it is, as a page."""
    try:
        report = un_deploy.compare(files={"unfolded": path}, dims={"batch": 8}, threads=1)
    except InputError:
        report = un_deploy.compare("models/vit.py:vit_micro", norms=["ln", "un"])
    except UnDeployError as error:
        raise SystemExit(str(error)) from error
    assert_type(report, CompareReport)
    un_deploy.report(report, "page.html", force=True)
    un_deploy.report("report.json", "page.html")
    layers = un_deploy.profile(path, runs=5)
    assert_type(layers, ProfileReport)
    print(report, layers, un_deploy.__version__)
    return report


def trained_again(path: str) -> Tensor:
    """Back in PyTorch."""
    module = un_deploy.to_torch(path)
    return next(module.parameters())


def kept(
    reports: list[ConvertReport | DemoReport | DoctorReport | FileReport | TritonReport],
) -> list[str]:
    """What the commands without a function here give, as they print it."""
    return [str(report) for report in reports]
