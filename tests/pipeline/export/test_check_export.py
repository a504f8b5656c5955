"""The exported graph against PyTorch: wrong graphs of several kinds are refused."""

from __future__ import annotations

import onnx_ir
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from tests.support.doubles.reference_runtime import ReferenceRuntime  # noqa: E402
from un_deploy.errors import VerificationError  # noqa: E402
from un_deploy.pipeline.export.check_export import check_export, tolerance  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import to_onnx  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.*in log:RuntimeWarning")]


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


X = torch.arange(1.0, 13.0).reshape(3, 4)


def graph(body: str, out: str = "float[batch,4] output", x: str = "float[batch,4] x") -> str:
    return f'<ir_version: 9, opset_import: ["": 20]> g ({x}) => ({out}) {{ {body} }}'


def check(text: str, module: nn.Module | None = None, x: Tensor = X) -> float:
    model = onnx_ir.from_onnx_text(text)
    return check_export(module or Twice(), model, {"x": x}, runtime=ReferenceRuntime())


def test_right_graph() -> None:
    assert check(graph("output = Add(x, x)")) == 0.0


def test_error_within_rounding_is_measured() -> None:
    factor = 2 + 2.0**-17  # its products with X are exact in float32
    error = check(graph(f"c = Constant<value = float {{{factor}}}>() output = Mul(x, c)"))
    assert error == 2.0**-18


def test_exported_module() -> None:
    torch.manual_seed(0)
    module = nn.Linear(4, 4)
    model = to_onnx(module, {"input": X}, exporter="torchscript")
    eps = torch.finfo(torch.float32).eps
    assert check_export(module, model, {"input": X}) < 4 * eps
    with torch.no_grad():
        module.weight[1, 2] *= 1.01
    with pytest.raises(VerificationError, match=r"^output output on input \(3, 4\)"):
        check_export(module, model, {"input": X})


def test_difference_above_the_tolerance() -> None:
    allowed = tolerance(torch.finfo(torch.float32).eps)
    for factor, refused in ((2 * (1 + allowed / 2), False), (2 * (1 + 2 * allowed), True)):
        text = graph(f"c = Constant<value = float {{{factor:.9f}}}>() output = Mul(x, c)")
        if refused:
            with pytest.raises(VerificationError, match=r"differs from PyTorch by 1\.2e-03 where"):
                check(text)
        else:
            assert check(text) == pytest.approx(allowed / 2, rel=0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            # right for the three rows it was traced with, wrong for any other number
            graph("c = Constant<value = int64[2] {3, 4}>() y = Add(x, x) output = Reshape(y, c)"),
            r"^PyTorch computes on the inputs x \(2, 4\), the exported graph does not: ",
        ),
        (
            graph("y = ReduceSum<keepdims = 1>(x) output = Add(x, y)", "float[batch,4] output"),
            r"^output output on x \(3, 4\): the graph differs",
        ),
        (
            graph("y = Add(x, x) output = Transpose(y)"),
            r"the graph gives shape \(4, 3\), PyTorch \(3, 4\)",
        ),
    ],
)
def test_wrong_graph(text: str, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        check(text)


class Positive(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x > 0).long()


def test_integers_must_be_equal() -> None:
    wrong = "c = Constant<value = float {1}>() y = Greater(x, c) output = Cast<to = 7>(y)"
    with pytest.raises(VerificationError, match=r"differs from PyTorch by 1\.0e"):
        check(graph(wrong, "int64[batch,4] output"), Positive())
    right = wrong.replace("{1}", "{0}")
    assert check(graph(right, "int64[batch,4] output"), Positive()) == 0.0


class Logarithm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.log()


def test_infinities_must_be_the_same() -> None:
    x = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    assert check(graph("output = Log(x)"), Logarithm(), x) == pytest.approx(0, abs=1e-6)
    clipped = "low = Constant<value = float {-9}>() y = Log(x) output = Max(y, low)"
    with pytest.raises(VerificationError, match="the graph differs from PyTorch"):
        check(graph(clipped), Logarithm(), x)


def test_nan_in_pytorch_proves_nothing() -> None:
    with pytest.raises(VerificationError, match="PyTorch itself gives NaN"):
        check(graph("output = Log(x)"), Logarithm(), -X)


def test_nan_in_the_graph_alone() -> None:
    with pytest.raises(VerificationError, match="the graph differs from PyTorch by nan"):
        check(graph("y = Neg(x) output = Log(y)"), Twice())
