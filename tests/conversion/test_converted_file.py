"""A converted network in a file, and back into the network as its factory makes it."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tests.conversion.networks import images, post_norm, pre_norm  # noqa: E402
from un_deploy.conversion import calibrate, load_converted, save_converted  # noqa: E402
from un_deploy.errors import InputError, TargetError  # noqa: E402

pytestmark = pytest.mark.torch


def test_there_and_back(tmp_path: Path) -> None:
    original = pre_norm()
    model = deepcopy(original)
    calibrate(model, images(1), keep="*.norm1")
    save_converted(model, tmp_path / "un.pt", original)
    read = pre_norm()
    load_converted(read, tmp_path / "un.pt")
    (batch,) = images(1, seed=1)
    assert torch.equal(read(**batch), model(**batch))


def test_a_plain_checkpoint_is_loaded_as_it_is(tmp_path: Path) -> None:
    model = pre_norm()
    torch.save(model.state_dict(), tmp_path / "ln.pt")
    load_converted(model, tmp_path / "ln.pt")


def test_refusals(tmp_path: Path) -> None:
    original = pre_norm()
    model = deepcopy(original)
    calibrate(model, images(1))
    path = tmp_path / "un.pt"
    save_converted(model, path, original)
    with pytest.raises(TargetError, match="exists"):
        save_converted(model, path, original)
    with pytest.raises(InputError, match=r"un\.pt: blocks\.0\.norm1: AttributeError"):
        load_converted(post_norm(), path)
    content = torch.load(path)
    content["un_deploy"]["version"] = 99
    torch.save(content, path)
    with pytest.raises(InputError, match="another version"):
        load_converted(pre_norm(), path)
