"""What no random graph comes to, each with the reason, and the test that holds it instead."""

from __future__ import annotations

OPERATORS: dict[tuple[str, str], str] = {}

REASONS: dict[str, str] = {}
