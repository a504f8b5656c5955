"""The precisions by name, apart from what converts, so that settings can name one at no cost."""

from __future__ import annotations

from typing import Literal

Precision = Literal["fp32", "fp16", "bf16"]
