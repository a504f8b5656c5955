"""The map as a picture: time of LN over time of UN folded, for every network and batch."""

from __future__ import annotations

from html import escape
from typing import Any

RATIO = "ln / folded"
LEFT, WIDTH, HEIGHT = 110, 92, 34

FULL = 0.5
"""Distance from 1 at which a colour is at its fullest."""


def heat_map(found: dict[str, Any]) -> str:
    """An SVG: a panel for each mode and precision, networks downwards, batches across.

    Green: folded is faster, red: LN is. A pale number is not significant.

    Args:
        found: see `benchmarks.gpu.report.report`.
    """
    drawn = [_text(10, 20, "Time of LN over time of UN folded; pale: not significant")]
    panels: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
    for cell in found["cells"]:
        if RATIO in cell.get("ratios", {}):
            form = "" if cell["recognize"] else ", attention in its parts"
            panel = panels.setdefault(f"{cell['mode']}, {cell['precision']}{form}", {})
            panel[cell["network"], cell["batch"]] = cell["ratios"][RATIO]
    y = 40
    for title, ratios in panels.items():
        batches = sorted({batch for _, batch in ratios})
        networks = list(dict.fromkeys(network for network, _ in ratios))
        drawn.append(_text(10, y + 20, title))
        drawn += [_text(LEFT + WIDTH * i, y + 45, f"batch {b}") for i, b in enumerate(batches)]
        drawn += [_text(10, y + 74 + HEIGHT * i, name) for i, name in enumerate(networks)]
        for (network, batch), told in ratios.items():
            place = LEFT + WIDTH * batches.index(batch), y + 52 + HEIGHT * networks.index(network)
            drawn += _square(*place, told["ratio"], told.get("significant", True))
        y += 52 + HEIGHT * len(networks)
    size = f'width="{LEFT + 4 * WIDTH + 20}" height="{y + 20}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, f'<rect {size} fill="white"/>', *drawn, "</svg>\n"])


def _square(x: int, y: int, ratio: float, sure: bool) -> list[str]:
    size = f'width="{WIDTH - 2}" height="{HEIGHT - 2}"'
    number = _text(x + 28, y + 21, f"{ratio:.3f}", "black" if sure else "#888888")
    return [f'<rect x="{x}" y="{y}" {size} fill="{colour(ratio)}"/>', number]


def colour(ratio: float) -> str:
    """White at 1, greener above it, redder below it."""
    share = max(-1.0, min(1.0, (ratio - 1) / FULL))
    faded = round(255 - 155 * abs(share))
    return f"#{faded:02x}ff{faded:02x}" if share >= 0 else f"#ff{faded:02x}{faded:02x}"


def _text(x: int, y: int, text: str, fill: str = "black") -> str:
    return f'<text x="{x}" y="{y}" fill="{fill}">{escape(text)}</text>'
