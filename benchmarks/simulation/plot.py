"""Where adapters were found, as a bar for each way of routing at each scale."""

from collections.abc import Mapping, Sequence
from typing import Any

_COLOURS = {"slot": "#2ca02c", "ram": "#1f77b4", "disk": "#9a6324"}
_WORDS = {"slot": "in a GPU slot", "ram": "in memory", "disk": "on disk"}
_LEFT, _WIDTH, _TOP, _ROW = 250, 430, 50, 28


def svg(runs: Sequence[Mapping[str, Any]]) -> str:
    """Shares of all requests, side by side in each bar."""
    height = _TOP + _ROW * len(runs) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="720" height="{height}" fill="white"/>',
    ]
    parts += [
        f'<text x="{_LEFT + 140 * place}" y="28" fill="{_COLOURS[tier]}">{words}</text>'
        for place, (tier, words) in enumerate(_WORDS.items())
    ]
    for row, run in enumerate(runs):
        y = _TOP + _ROW * row
        name = f"{run['engines']:,} engines, {run['routing']}"
        parts.append(f'<text x="{_LEFT - 10}" y="{y + 14}" text-anchor="end">{name}</text>')
        x = float(_LEFT)
        for tier, colour in _COLOURS.items():
            width = _WIDTH * float(run[tier])
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" fill="{colour}"/>'
            )
            x += width
    return "\n".join([*parts, "</svg>\n"])
