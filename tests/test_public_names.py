"""Every name of `un_deploy`: there, loaded when used, and patient with a wrong argument."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import onnx_graphsurgeon as gs
import onnx_ir as ir
import pytest
import torch
from torch import nn

import un_deploy
from tests.support.graphs import NORM, build
from un_deploy import BuildOptions, InputError, IoFormat, Range, Surgery, UnDeployError

ROOT = Path(__file__).parents[1]


def norms() -> nn.Module:
    """A network with one LayerNorm."""
    return nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))


def un_norms() -> nn.Module:
    """The same with UN."""
    return nn.Sequential(nn.Linear(4, 4), un_deploy.UnifiedNorm(4))


CALLS: dict[str, Callable[[], dict[str, Any]]] = {
    "UnifiedNorm": lambda: {"normalized_shape": 4},
    "build": lambda: {"model": "absent.onnx", "target": "absent.plan"},
    "compare": lambda: {"files": {"unfolded": "absent.onnx"}},
    "convert_norms": lambda: {"model": norms()},
    "export": lambda: {"model": "absent.py:model", "target": "made.onnx"},
    "fold": lambda: {"model": "absent.onnx"},
    "inspect": lambda: {"source": "absent.onnx"},
    "profile": lambda: {"path": "absent.onnx"},
    "recalibrate": lambda: {"model": un_norms(), "loader": [torch.ones(2, 4)]},
    "report": lambda: {"source": "absent.json", "target": "absent.html"},
    "save": lambda: {"model": "absent.onnx", "target": "made.onnx"},
    "strip": lambda: {"model": "absent.onnx"},
    "to_torch": lambda: {"model": "absent.onnx"},
    "verify": lambda: {"a": "absent.onnx", "b": "absent.onnx"},
}
"""Arguments that each function takes, of models that are not there, so that nothing runs long."""

WRONG: tuple[Any, ...] = (
    None,
    3,
    -1,
    object(),
    "",
    "absent",
    ".",
    b"m",
    nn.Linear(4, 4),
    {},
    [],
    [3],
)

UNREADABLE = {"process_group"}
"""Arguments of kinds that are imported for type checkers alone."""


def test_every_name_is_there_and_in_the_user_file() -> None:
    assert set(CALLS) | _classes() == set(un_deploy.__all__)
    tree = ast.parse((ROOT / "tests" / "user_file.py").read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert set(un_deploy.__all__) <= used


def _classes() -> set[str]:
    found = {name: getattr(un_deploy, name) for name in un_deploy.__all__}
    return {
        name
        for name, one in found.items()
        if is_dataclass(one) or (isinstance(one, type) and issubclass(one, UnDeployError))
    }


@pytest.mark.torch
@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_refused_in_words_of_python(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function = getattr(un_deploy, name)
    for parameter in inspect.signature(function).parameters:
        for value in WRONG:
            try:
                function(**{**CALLS[name](), parameter: value})
            except UnDeployError as error:
                assert " --" not in f" {error}", (parameter, value)
            else:
                refusable = type(value) is not object or parameter in UNREADABLE
                assert refusable, f"{name} takes an object() as {parameter}"


def test_the_page_on_python_runs_and_names_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert [name for name in un_deploy.__all__ if f"`{name}`" not in page] == []
    (block,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    un_deploy.save(model(), "model.onnx")
    exec(block, {})
    assert capsys.readouterr().out.endswith("\nproven\n")
    assert len(un_deploy.inspect("folded.onnx").fold.sites) == 0


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["path", "ModelProto", "Model", "Graph"])
def test_what_fold_gives_is_of_the_kind_given_and_is_saved(kind: str, tmp_path: Path) -> None:
    given = {
        "path": lambda: tmp_path / "given.onnx",
        "ModelProto": lambda: ir.to_proto(model()),
        "Model": model,
        "Graph": lambda: gs.import_onnx(ir.to_proto(model())),
    }[kind]()
    un_deploy.save(model(), tmp_path / "given.onnx")
    folded, _ = un_deploy.fold(given)
    assert type(folded) is (ir.Model if kind == "path" else type(given))
    un_deploy.save(folded, tmp_path / "folded.onnx")
    with pytest.raises(un_deploy.TargetError, match="overwrite with force=True"):
        un_deploy.save(folded, tmp_path / "folded.onnx")
    assert un_deploy.verify(given, tmp_path / "folded.onnx").verdict == "proven"


X = Range((1, 4), (2, 4), (8, 4))


@pytest.mark.torch
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"profiles": [{"x": Range((1, 4), None, (8, 4))}]},
            r"profiles\[0\]\['x'\]\.opt must be a",
        ),
        ({"profiles": [{"x": Range((1, 4), (2, 4), (8,))}]}, "the max shape 8 of input x"),
        ({"profiles": {"x": X}}, "profiles must be a list of dict of str to Range, not a dict"),
        ({"options": BuildOptions(memory_pools={"work": 1})}, "there is no pool 'work'"),
        ({"options": BuildOptions(hardware_compatibility="x")}, "no hardware level 'x'"),
        ({"options": BuildOptions(input_formats=(IoFormat("f", ()),))}, "no type 'f'"),
        ({"surgery": Surgery(outputs="h")}, r"surgery\.outputs must be a tuple of str, not 'h'"),
    ],
)
def test_options_of_an_engine(arguments: Mapping[str, Any], message: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    given = {"profiles": [{"x": X}], **arguments}
    with pytest.raises(InputError, match=message):
        un_deploy.build(model(), tmp_path / "m.plan", **given)


@pytest.mark.torch
def test_tensors_are_taken_for_arrays(tmp_path: Path) -> None:
    folded, _ = un_deploy.fold(model())
    x = torch.ones(2, 4)
    assert un_deploy.verify(model(), folded, inputs={"x": x}).outputs[0].error < 1e-5
    with pytest.raises(InputError, match=r"input x is no array: .*requires grad"):
        un_deploy.verify(model(), folded, inputs={"x": x.requires_grad_()})
    with pytest.raises(InputError, match="input x is None: give an array"):
        un_deploy.verify(model(), folded, inputs={"x": None})


@pytest.mark.torch
@pytest.mark.parametrize("given", [None, object(), 3, "x"])
def test_what_is_no_model_and_no_tensor(given: object) -> None:
    with pytest.raises(InputError, match=r"is no model|does not exist"):
        un_deploy.to_torch(given)
    with pytest.raises(InputError, match="the input x must be a tensor"):
        un_deploy.to_torch(model())(given)


@pytest.mark.torch
def test_nothing_is_swapped_where_a_norm_cannot_be_made() -> None:
    network = nn.Sequential(nn.LayerNorm(4), nn.LayerNorm(8))
    with pytest.raises(InputError, match="to makes no norm of 8 channels: ZeroDivisionError"):
        un_deploy.convert_norms(network, lambda n: nn.Identity() if n == 4 else 1 / 0)
    with pytest.raises(InputError, match=r"to must make a torch\.nn.Module, not 3"):
        un_deploy.convert_norms(network, lambda n: 3)
    assert isinstance(network[0], nn.LayerNorm)


def model() -> Any:
    """x, a norm, and a MatMul."""
    return build(
        "float[n,4] x => float[n,4] y", f"{NORM} y = MatMul(m, w)", a=(4,), b=(4,), w=(4, 4)
    )
