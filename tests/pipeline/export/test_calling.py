"""Forwards of every signature, through both exporters: the given inputs in, tensors alone out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.graph.model.labels import label_of  # noqa: E402
from un_deploy.pipeline.export.calling import (  # noqa: E402
    call,
    in_order,
    own_names,
    tensors_alone,
)
from un_deploy.pipeline.export.check_export import check_export  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx  # noqa: E402

pytestmark = pytest.mark.torch
BOTH = pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])

X = torch.arange(24.0).reshape(2, 3, 4)
Y = X.flip(0) / 7


class KeywordOnly(nn.Module):
    def forward(self, x: Tensor, *, scale: float = 2.0, y: Tensor | None = None) -> Tensor:
        return x * scale if y is None else x * scale - y


class PositionalOnly(nn.Module):
    def forward(self, y: Tensor | None = None, x: Tensor | None = None, /) -> Any:
        return x if y is None else 2 * x - y


class AnyKeyword(nn.Module):
    def forward(self, x: Tensor, **others: Tensor) -> Tensor:
        return 2 * x - others["y"]


class Cached(nn.Module):
    """A decoder: with a cache unless it is told otherwise, and flags in front of an input."""

    def forward(
        self,
        x: Tensor,
        past_key_values: Any = None,
        use_cache: bool = True,
        return_dict: bool | None = None,
        y: Tensor | None = None,
        logits_to_keep: int = 0,
    ) -> Any:
        kept = {"logits": (2 * x - y)[:, -logits_to_keep:]}
        return {**kept, "past_key_values": DynamicCache()} if use_cache else kept


class DynamicCache:
    pass


@dataclass
class Output:
    last: Tensor
    hidden: tuple[Tensor, ...] | None = None


class Outputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Output:
        return Output(2 * x - y, (x + y, x - y))


@BOTH
@pytest.mark.parametrize("module", [KeywordOnly(), PositionalOnly(), AnyKeyword(), Cached()])
def test_two_inputs(module: nn.Module, exporter: Exporter) -> None:
    inputs = {"x": X, "y": Y}
    model = to_onnx(module, inputs, exporter=exporter)
    assert {str(value.name) for value in model.graph.inputs} == {"x", "y"}
    assert len(model.graph.outputs) == 1
    assert check_export(module, model, inputs) < 1e-6
    assert torch.equal(call(module, inputs)[0][1], 2 * X - Y)


@BOTH
def test_what_is_not_given_keeps_its_default(exporter: Exporter) -> None:
    model = to_onnx(KeywordOnly(), {"x": X}, exporter=exporter)
    assert [value.name for value in model.graph.inputs] == ["x"]
    assert check_export(KeywordOnly(), model, {"x": X}) == 0


@BOTH
def test_a_dataclass_of_tensors_and_a_tuple(exporter: Exporter) -> None:
    model = to_onnx(Outputs(), {"x": X, "y": Y}, exporter=exporter)
    assert [value.name for value in model.graph.outputs] == ["last", "hidden_0", "hidden_1"]
    assert check_export(Outputs(), model, {"x": X, "y": Y}) < 1e-6


@BOTH
def test_one_tensor_for_two_inputs_stays_two(exporter: Exporter) -> None:
    model = to_onnx(AnyKeyword(), {"x": X, "y": X}, exporter=exporter)
    assert check_export(AnyKeyword(), model, {"x": X, "y": Y}) < 1e-6


def test_the_module_stays_as_it_is_and_its_weights_are_shared() -> None:
    module = nn.Sequential(nn.Linear(4, 4)).train()
    before = dict(vars(module))
    alone = tensors_alone(module, ["input"])
    assert vars(module) == before
    assert alone[0] is module[0]
    assert torch.equal(alone(input=X), module(X))


def test_a_forward_that_an_instance_has() -> None:
    module = nn.Linear(4, 4)
    module.forward = lambda x, y: {"sum": x + y}
    assert torch.equal(tensors_alone(module, ["x", "y"])(X, Y), X + Y)


def test_inputs_in_forwards_order_and_the_rest_last() -> None:
    assert list(in_order(AnyKeyword(), {"y": Y, "x": X})) == ["x", "y"]
    with pytest.raises(InputError, match=r"^Cached\.forward\(x, .*\) takes no input 'z'$"):
        in_order(Cached(), {"x": X, "z": X})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (DynamicCache(), "returns a DynamicCache as a_1; .* switch it off, as with config.use_c"),
        ("done", "returns a str as a_1; only tensors can be exported$"),
    ],
)
def test_what_is_no_tensor_is_named(value: Any, message: str) -> None:
    class Returns(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return {"a": (x, value)}

    with pytest.raises(InputError, match=f"^forward {message}"):
        to_onnx(Returns(), {"x": X})


def test_no_gradient_is_recorded() -> None:
    class Asks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1 if torch.is_grad_enabled() else x - 1

    model = to_onnx(Asks(), {"x": X})
    assert [node.op_type for node in model.graph] == ["Sub"]
    assert torch.is_grad_enabled()


@BOTH
def test_encoder_layers_are_exported_in_plain_operators(exporter: Exporter) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    inputs = {"src": torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))}
    model = to_onnx(layer, inputs, exporter=exporter)
    assert {node.domain for node in model.graph} == {""}
    assert check_export(layer, model, inputs) < 1e-5
    assert torch.backends.mha.get_fastpath_enabled()


class Rows(nn.Module):
    """An encoder of PyTorch's own. It takes len(x), which torch.export freezes where it runs the
    network itself: it reads the byte code then, and names modules by how it came to them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.zeros(1, 1, 4))
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, norm_first=True)
        norm = nn.LayerNorm(4)
        self.encoder = nn.TransformerEncoder(layer, 1, norm, enable_nested_tensor=False)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(torch.cat([self.first.expand(len(x), -1, -1), x], 1))[:, 0])


class Held(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.run = partial(model)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


class Runner:
    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return Rows.forward(self.model, x)


def with_forward(forward: Callable[[nn.Module], Any]) -> nn.Module:
    """A network whose instance has a forward of its own, as part_of and libraries give one."""
    module = Rows()
    module.forward = forward(module)
    return module


def hooked(module: nn.Module) -> Any:
    """As accelerate wraps a forward."""
    before = module.forward

    @wraps(before)
    def after(*args: Any, **named: Any) -> Any:
        return before(*args, **named)

    return after


@pytest.mark.parametrize(
    ("module", "front"),
    [
        (Rows(), ""),
        (with_forward(lambda module: partial(Rows.forward, module)), ""),
        (with_forward(lambda module: Runner(module).forward), ""),
        (with_forward(hooked), ""),
        (Held(Rows()), "model."),
    ],
    ids=["own", "partial", "bound", "hooked", "held"],
)
@BOTH
def test_operators_have_their_module_s_own_name(
    module: nn.Module, front: str, exporter: Exporter
) -> None:
    model = to_onnx(module, {"x": X}, exporter=exporter)
    labels = {label_of(node) for node in model.graph if node.op_type == "LayerNormalization"}
    assert labels == {f"{front}encoder.{n}" for n in ("layers.0.norm1", "layers.0.norm2", "norm")}
    assert label_of([*model.graph][-1]) == f"{front}head"
    known = {name for name, _ in module.named_parameters()}
    read = {name for name in model.graph.initializers if "." in name and "::" not in name}
    assert f"{front}head.weight" in read and read <= known
    told = [f"{text}" for node in model.graph for text in node.metadata_props.values()]
    assert not [text for text in told if "__closure__" in text or "args[0]" in text]


def test_names_are_found_by_walking_the_path() -> None:
    module = Held(Rows())
    module.listed = [module.model.head, nn.Linear(4, 4)]
    module.by_key = {"a b": module.model.encoder.layers[0]}
    paths = {
        "run.func": "model",
        "run.func.encoder.layers.0.norm1": "model.encoder.layers.0.norm1",
        "listed[0]": "model.head",
        "listed[0]@1": "model.head@1",
        "by_key['a b'].norm2": "model.encoder.layers.0.norm2",
        "forward.__self__": "",
    }
    assert own_names(module, [*paths, "model.encoder", "listed[1]", "listed[2]", "no.such"]) == {
        **paths,
        "_empty_nn_module_stack_from_metadata_hook": "",
    }
