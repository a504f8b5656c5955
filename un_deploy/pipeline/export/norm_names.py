"""The names that --norm and --norms take; the table of what they name is models/norms.py."""

from __future__ import annotations

from typing import Literal, get_args

Norm = Literal["ln", "rms", "bn", "un", "dyt", "derf", "none"]

NORMS: tuple[Norm, ...] = get_args(Norm)
