"""Checkpoints load whole or not at all, and untrained norms are not deployed by accident."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from un_deploy.errors import InputError, MissingPackageError, UntrainedError  # noqa: E402
from un_deploy.nn import UnifiedNorm, load_checkpoint, require_trained  # noqa: E402

pytestmark = pytest.mark.torch


def network(norm: Callable[[int], nn.Module] = UnifiedNorm) -> nn.Sequential:
    return nn.Sequential(norm(4), nn.Linear(4, 4), norm(4))


ONE = torch.ones(1, dtype=torch.int64)


def trained() -> nn.Sequential:
    torch.manual_seed(0)
    net = network()
    for _ in range(3):
        net(torch.randn(2, 6, 4))
    return net


@pytest.mark.parametrize("wrap", [None, "state_dict", "model", "model_state_dict"])
def test_a_file_round_trip_keeps_every_value(tmp_path: Path, wrap: str | None) -> None:
    source = trained()
    state: dict[str, Any] = source.state_dict()
    torch.save({wrap: state, "epoch": 3} if wrap else state, tmp_path / "net.pt")
    target = network()
    load_checkpoint(target, tmp_path / "net.pt")
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value)


def test_safetensors_load(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    source = trained()
    safetensors.save_file(source.state_dict(), tmp_path / "net.safetensors")
    target = network()
    load_checkpoint(target, tmp_path / "net.safetensors")
    assert torch.equal(target[0].running_var, source[0].running_var)


class Tied(nn.Module):
    """Embeddings whose table is the weight of the last layer too, as language models have it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5)
        self.head.weight = self.embed.weight


@pytest.mark.parametrize("left_out", ["embed.weight", "head.weight"])
def test_of_tied_weights_one_name_is_enough(left_out: str) -> None:
    source, target = Tied(), Tied()
    state = source.state_dict()
    del state[left_out]
    load_checkpoint(target, state)
    assert target.embed.weight is target.head.weight
    assert torch.equal(target.embed.weight, source.embed.weight)


def test_weights_that_are_not_tied_are_missed() -> None:
    state = Tied().state_dict()
    del state["head.weight"]
    untied = Tied()
    untied.head.weight = nn.Parameter(torch.zeros(5, 4))
    with pytest.raises(InputError, match=r"it lacks head\.weight$"):
        load_checkpoint(untied, state)


def test_says_which_package_safetensors_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    (tmp_path / "net.safetensors").write_bytes(b"")
    with pytest.raises(MissingPackageError, match="pip install safetensors"):
        load_checkpoint(network(), tmp_path / "net.safetensors")


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such checkpoint file"):
        load_checkpoint(network(), tmp_path / "absent.pt")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_refuses_a_file_that_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(InputError, match="not a checkpoint") as error:
        load_checkpoint(network(), tmp_path / "net.pt")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_refuses_a_pickled_module_unread(tmp_path: Path, zipped: bool) -> None:
    torch.save(network(), tmp_path / "net.pt", _use_new_zipfile_serialization=zipped)
    told = (
        r"net\.pt holds a whole model or another object \(torch\.nn\.modules\.container\.Sequential"
        r"\), not weights alone; it is not read, since .*: save model\.state_dict\(\) in its place$"
    )
    with pytest.raises(InputError, match=told):
        load_checkpoint(network(), tmp_path / "net.pt")


def test_says_what_lies_under_another_name() -> None:
    state = {"net": trained().state_dict(), "epoch": 3}
    with pytest.raises(
        InputError, match=r"'net' is an OrderedDict, not a tensor; save .* alone or"
    ):
        load_checkpoint(network(), state)


def in_front(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{key}": value for key, value in state.items()}


def test_names_that_data_parallel_and_compile_write_are_the_networks_own() -> None:
    source = trained()
    wrapped = nn.DataParallel(source)
    compiled = torch.compile(source)
    for saved in (wrapped, compiled, nn.DataParallel(compiled), torch.compile(wrapped)):
        state = saved.state_dict()
        assert not set(state) & set(source.state_dict())
        target = network()
        load_checkpoint(target, state)
        for key, value in source.state_dict().items():
            assert torch.equal(target.state_dict()[key], value)


def test_a_prefix_is_taken_off_where_all_names_have_it_and_the_model_does_not() -> None:
    state = trained().state_dict()
    load_checkpoint(nn.DataParallel(network()), in_front("module.", state))
    averaged = {"n_averaged": torch.tensor(3), **in_front("module.", state)}
    with pytest.raises(InputError, match=r"names of it have the module\. of a wrapper .* inside$"):
        load_checkpoint(network(), averaged)


def test_a_layer_norm_network_in_a_wrapper_is_told_as_one() -> None:
    state = in_front("module.", network(nn.LayerNorm).state_dict())
    with pytest.raises(InputError, match="no statistics for 0, 2: it looks like a LayerNorm"):
        load_checkpoint(network(), state)


def test_a_network_that_was_saved_as_a_part_is_told() -> None:
    """Whose other parts may do more than the network: its names are not cut."""
    with pytest.raises(
        InputError, match=r"begins with net\., .* state_dict\(\) of that part, net$"
    ):
        load_checkpoint(network(), in_front("net.", trained().state_dict()))


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2]])
def test_refuses_content_that_is_no_state_dict(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(InputError, match="state_dict"):
        load_checkpoint(network(), tmp_path / "net.pt")


def test_missing_and_unexpected_keys_make_one_line() -> None:
    state = trained().state_dict()
    state["head.weight"] = state.pop("1.weight")
    with pytest.raises(
        InputError, match=re.escape("lacks 1.weight and has head.weight, which the model does not")
    ):
        load_checkpoint(network(), state)


def test_long_lists_of_keys_are_cut() -> None:
    state = {"other": torch.zeros(1)}
    with pytest.raises(InputError, match=r"lacks 0\.weight, 0\.bias, 0\.running_var and \d+ more"):
        load_checkpoint(network(), state)


def test_refuses_another_shape_and_leaves_the_model_alone() -> None:
    state = trained().state_dict()
    state["1.bias"] = torch.zeros(5)
    net = network()
    with pytest.raises(InputError, match=re.escape("1.bias (5,), the model's is (4,)")):
        load_checkpoint(net, state)
    assert int(net[0].iters) == 0


FORMS = pytest.mark.parametrize(
    "form", [{"bias": False}, {"elementwise_affine": False}], ids=["no bias", "no affine"]
)


@FORMS
def test_norms_without_bias_or_affine_load_alike(form: dict[str, bool], tmp_path: Path) -> None:
    source = network(partial(UnifiedNorm, **form))
    source(torch.randn(2, 6, 4))
    torch.save(source.state_dict(), tmp_path / "net.pt")
    target = network(partial(UnifiedNorm, **form))
    load_checkpoint(target, tmp_path / "net.pt")
    assert torch.equal(target[2].running_var, source[2].running_var)
    with pytest.raises(InputError, match=r"lacks 0\.(weight|bias)"):
        load_checkpoint(network(), source.state_dict())


@FORMS
def test_a_layer_norm_of_another_form_is_still_told(form: dict[str, bool]) -> None:
    source, target = (network(partial(norm, **form)) for norm in (nn.LayerNorm, UnifiedNorm))
    with pytest.raises(InputError, match=r"no statistics for 0, 2: it looks like a LayerNorm"):
        load_checkpoint(target, source.state_dict())
    load_checkpoint(target, source.state_dict(), untrained=True)
    assert torch.equal(target[1].weight, source[1].weight)


@FORMS
@pytest.mark.parametrize("strictly", [load_checkpoint, nn.Module.load_state_dict])
def test_constants_that_conversion_used_to_add_are_dropped(
    form: dict[str, bool], strictly: Callable[[nn.Module, dict[str, Any]], object]
) -> None:
    """The norms that `convert_norms` made had all parameters, frozen at 1 and 0 where there were
    none; a parameter of any other value is refused."""
    old, new = trained(), network(partial(UnifiedNorm, **form))
    strictly(new, old.state_dict())
    assert torch.equal(new[0].history, old[0].history)
    nn.init.constant_(old[2].bias, 0.5)
    with pytest.raises((InputError, RuntimeError), match=r"2\.bias"):
        strictly(new, old.state_dict())


def test_a_layer_norm_checkpoint_needs_the_flag() -> None:
    source = network(nn.LayerNorm)
    nn.init.normal_(source[0].weight)
    net = network()
    told = (
        r"no statistics for 0, 2: it looks like a LayerNorm model's checkpoint; convert the "
        r"trained network \(un-deploy convert\), .* or pass untrained=True if only speed is of"
    )
    with pytest.raises(InputError, match=told):
        load_checkpoint(net, source.state_dict())
    load_checkpoint(net, source.state_dict(), untrained=True)
    assert torch.equal(net[0].weight, source[0].weight)
    assert torch.equal(net[0].running_var, torch.ones(4))


def test_the_flag_excuses_nothing_else() -> None:
    state = network(nn.LayerNorm).state_dict()
    del state["1.bias"]
    with pytest.raises(InputError, match=re.escape("lacks 1.bias")):
        load_checkpoint(network(), state, untrained=True)


def test_a_released_checkpoint_in_another_mode_names_the_mode_it_needs() -> None:
    source = network(lambda channels: UnifiedNorm(channels, mode="official"))
    with pytest.raises(InputError, match='mode="official"'):
        load_checkpoint(network(), source.state_dict())


def test_a_checkpoint_of_un_names_the_norm_that_the_model_lacks() -> None:
    saved = nn.Sequential(UnifiedNorm(4), nn.Linear(4, 2)).state_dict()
    with pytest.raises(InputError, match=r"trained with Unified Normalization: .* by norm='un'"):
        load_checkpoint(nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 2)), saved)
    state = {**saved, "1.iters": ONE}  # a model with UN is not told to have it
    with pytest.raises(InputError, match=r"has .*0\.iters, which the model does not$"):
        load_checkpoint(nn.Sequential(nn.Linear(4, 2), UnifiedNorm(2)), state)


@pytest.mark.parametrize("mode", ["robust", "paper", "official"])
def test_untrained_statistics_are_refused_by_name(mode: str) -> None:
    net = network(lambda channels: UnifiedNorm(channels, mode=mode))
    net[0](torch.randn(2, 6, 4))
    told = r"statistics of 1 norm \(2\) were never updated.*untrained=True"
    with pytest.raises(UntrainedError, match=told):
        require_trained(net)
    net[2](torch.randn(2, 6, 4))
    require_trained(net)


def test_a_norm_alone_is_named_by_its_class() -> None:
    with pytest.raises(UntrainedError, match="UnifiedNorm"):
        require_trained(UnifiedNorm(4))
