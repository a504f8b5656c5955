"""In what products are computed, as a reader is told it."""

from __future__ import annotations

import pytest

from un_deploy.graph.precision.names import Precision, in_words


@pytest.mark.parametrize(
    ("precision", "tf32", "said"),
    [
        ("fp32", True, "fp32, TF32 allowed"),
        ("fp32", False, "fp32 without TF32"),
        ("fp32", None, "fp32"),  # an older report does not tell
        ("fp16", True, "fp16"),
        ("bf16", False, "bf16 without TF32"),  # of what stays in fp32
        (None, None, "the types of the graphs"),
        (None, True, "the types of the graphs, TF32 allowed"),
    ],
)
def test_in_words(precision: Precision | None, tf32: bool | None, said: str) -> None:
    assert in_words(precision, tf32) == said
