"""The precisions by name and in words, apart from what converts: to name one costs nothing."""

from __future__ import annotations

from typing import Literal

Precision = Literal["fp32", "fp16", "bf16"]


def in_words(precision: Precision | str | None, tf32: bool | None) -> str:
    """In what products are computed, for the reader: "fp32, TF32 allowed" or "fp32 without TF32".

    In fp16 and bf16 TF32 is of what stays in fp32 alone, and is named only where it is off.

    Args:
        precision: that was asked for; None: the graph's own types.
        tf32: see `tf32_in_words`.
    """
    half = precision in ("fp16", "bf16")
    return (precision or "the types of the graphs") + tf32_in_words(None if half and tf32 else tf32)


def tf32_in_words(tf32: bool | None) -> str:
    """The end of a phrase that says whether products of fp32 may be computed in TF32.

    None: nothing that computes has TF32; says nothing.
    """
    return {None: "", True: ", TF32 allowed", False: " without TF32"}[tf32]
