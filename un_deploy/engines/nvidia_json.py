"""Reads JSON as NVIDIA's tools write it."""

from __future__ import annotations

import json
from typing import Any

from un_deploy.errors import InputError


def parse_json(text: str, what: str) -> Any:
    """Read JSON in which strings hold control characters, but no NaN.

    Raises:
        InputError: it is not JSON.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    try:
        return json.loads(text, strict=False, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the {what} are not JSON: {error}") from error
