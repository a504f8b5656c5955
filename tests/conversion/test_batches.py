"""What a batch is, in Python and behind the command line alike."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from un_deploy.conversion.batches import of_arrays, run  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402

pytestmark = pytest.mark.torch
X = np.arange(6, dtype=np.float32).reshape(2, 3)


class Sum(nn.Module):
    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return x if y is None else x + y


@pytest.mark.parametrize("of", [lambda x: x, torch.from_numpy], ids=["array", "tensor"])
def test_one_tensor_positional_arguments_and_a_dict(of) -> None:
    x, model = of(X), Sum()
    for given, factor in [(x, 1), ((x, x), 2), ([x], 1), ({"y": x, "x": x}, 2)]:
        answer = run(model, of_arrays(given, "data.py:batches"))
        assert np.array_equal(answer.numpy(), factor * X)


@pytest.mark.parametrize("given", ["word", {"x": object()}, (X, None)])
def test_what_is_no_batch(given: object) -> None:
    with pytest.raises(InputError, match=r"data\.py:batches gives \w+: a batch is a tensor or an"):
        of_arrays(given, "data.py:batches")


def test_labels_are_no_argument() -> None:
    with pytest.raises(InputError, match="its 3 parts are positional arguments: leave labels out"):
        run(Sum(), of_arrays((X, X, X), "data.py:batches"))
