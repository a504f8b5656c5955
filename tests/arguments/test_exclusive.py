"""What excludes each other is refused in the words of whoever called, and names what was given."""

from __future__ import annotations

import pytest

from un_deploy.arguments.exclusive import refuse_sizes_of_inputs, refuse_without_fold
from un_deploy.arguments.names import as_options
from un_deploy.errors import InputError


def test_sizes_are_of_random_inputs() -> None:
    refuse_sizes_of_inputs(None, dims={"batch": 8}, shapes={"x": (8, 3)})
    refuse_sizes_of_inputs("data.npz", dims={}, shapes=None, batches=())
    with pytest.raises(InputError) as raised:
        refuse_sizes_of_inputs({"x": [1.0]}, dims={"batch": 8}, batches=(1, 8))
    assert str(raised.value) == (
        "dims and batches are of random inputs, and inputs gives some with sizes of their own, "
        "the batch too: leave dims and batches out, or give inputs of that size"
    )
    with as_options(), pytest.raises(InputError, match=r"^--dim is of random inputs, and --inputs"):
        refuse_sizes_of_inputs("data.npz", dims={"batch": 8})


def test_what_is_of_a_fold() -> None:
    refuse_without_fold(True, keep=("n",), require_folded=0)
    refuse_without_fold(False, keep=(), fold_norm_affine=False, require_folded=None)
    with pytest.raises(
        InputError, match=r"^keep and require_folded are of a fold: leave out fold="
    ):
        refuse_without_fold(False, keep=("n",), require_folded=0)
    with (
        as_options(),
        pytest.raises(InputError, match=r"^--keep is of a fold: leave out --no-fold"),
    ):
        refuse_without_fold(False, keep=("n",))
