"""The map as a picture: time of LN over time of UN folded, for every network and batch."""

from __future__ import annotations

from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, TOP = 92, 34, 110, 58
RATIO = "ln / folded"
FULL = 0.5
"""Distance from 1 at which a colour is at its fullest."""


def heat_map(found: dict[str, Any]) -> str:
    """An SVG: a panel for each mode and precision, networks downwards, batches across.

    Green: folded is faster, red: LN is. A pale number is not significant.
    """
    panels: dict[str, dict[tuple[str, int], dict[str, Any]]] = {}
    for cell in found["cells"]:
        if cell["status"] == "timed" and RATIO in cell["ratios"]:
            form = "" if cell["recognize"] else ", attention in its parts"
            title = f"{cell['mode']}, {cell['precision']}{form}"
            panels.setdefault(title, {})[cell["network"], cell["batch"]] = cell["ratios"][RATIO]
    drawn, y, widest = [], 30, 420
    for title, ratios in panels.items():
        networks = list(dict.fromkeys(network for network, _ in ratios))
        batches = sorted({batch for _, batch in ratios})
        drawn += _panel(title, networks, batches, ratios, y)
        y += TOP + HEIGHT * len(networks) + 12
        widest = max(widest, LEFT + WIDTH * len(batches) + 20)
    if not panels:
        drawn.append(_text(10, y + 20, "No cell was timed."))
        y += 40
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{widest}" height="{y + 10}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{widest}" height="{y + 10}" fill="white"/>',
            _text(10, 20, "Time of LN over time of UN folded; pale: not significant"),
            *drawn,
            "</svg>\n",
        ]
    )


def _panel(
    title: str,
    networks: list[str],
    batches: list[int],
    ratios: dict[tuple[str, int], dict[str, Any]],
    y: int,
) -> list[str]:
    drawn = [_text(10, y + 20, title, weight="bold")]
    for column, batch in enumerate(batches):
        middle = LEFT + WIDTH * column + WIDTH // 2
        drawn.append(_text(middle, y + TOP - 10, f"batch {batch}", anchor="middle"))
    for row, network in enumerate(networks):
        top = y + TOP + HEIGHT * row
        drawn.append(_text(10, top + HEIGHT // 2 + 4, network))
        for column, batch in enumerate(batches):
            told = ratios.get((network, batch))
            if told is not None:
                drawn += _square(LEFT + WIDTH * column, top, told)
    return drawn


def _square(x: int, y: int, told: dict[str, Any]) -> list[str]:
    sure = told.get("significant", True)
    return [
        f'<rect x="{x}" y="{y}" width="{WIDTH - 2}" height="{HEIGHT - 2}" '
        f'fill="{colour(told["ratio"])}"/>',
        _text(
            x + WIDTH // 2,
            y + HEIGHT // 2 + 4,
            f"{told['ratio']:.3f}",
            anchor="middle",
            fill="black" if sure else "#888888",
        ),
    ]


def colour(ratio: float) -> str:
    """White at 1, greener above it, redder below it."""
    share = max(-1.0, min(1.0, (ratio - 1) / FULL))
    faded = round(255 - 155 * abs(share))
    return f"#{faded:02x}ff{faded:02x}" if share >= 0 else f"#ff{faded:02x}{faded:02x}"


def _text(
    x: int, y: int, text: str, *, anchor: str = "start", weight: str = "normal", fill: str = "black"
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{fill}">'
        f"{escape(text)}</text>"
    )
