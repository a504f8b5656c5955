"""Arguments that exclude each other, refused from themselves alone: before a file is read.

It imports nothing large, so that a command can ask it first.
"""

from __future__ import annotations

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError


def refuse_sizes_of_inputs(inputs: object, **sizes: object) -> None:
    """Sizes are of random inputs.

    Args:
        inputs: what the user gives; None: random ones.
        sizes: dims, shapes, batches; those that are empty were not given.

    Raises:
        InputError: inputs and a size are given.
    """
    given = [argument(name) for name, value in sizes.items() if value]
    if inputs is None or not given:
        return
    names, one = " and ".join(given), len(given) == 1
    raise InputError(
        f"{names} {'is' if one else 'are'} of random inputs, and {argument('inputs')} gives some "
        f"with sizes of their own, the batch too: leave {names} out, or give inputs of that size"
    )


def refuse_without_fold(fold: bool, **of_a_fold: object) -> None:
    """What is asked of a fold, where none is wanted.

    Args:
        fold: whether there is one.
        of_a_fold: keep, fold_norm_affine, require_folded; () and None were not given.

    Raises:
        InputError: one of them was given, and there is no fold.
    """
    given = [
        argument(name)
        for name, value in of_a_fold.items()
        if value is not None and value is not False and value != ()
    ]
    if given and not fold:
        raise InputError(
            f"{' and '.join(given)} {'is' if len(given) == 1 else 'are'} of a fold: leave out "
            f"{argument('fold', False)}"
        )
