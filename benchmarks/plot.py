"""Every claim's value as a share of its bar, on one scale."""

import math
from collections.abc import Mapping
from typing import Any

_LEFT, _RIGHT, _TOP, _ROW = 130.0, 700.0, 40, 26
_LEAST, _MOST = 1 / 16, 16.0
"""Ends of the scale, as multiples of the bar."""


def svg(outcomes: Mapping[str, Mapping[str, Any]]) -> str:
    """One row for each claim: interval and value, with the moonshot as a mark.

    Better is to the right for all of them, so where less is better the share is turned over.
    """
    bottom = _TOP + _ROW * len(outcomes)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {bottom + 40}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="720" height="{bottom + 40}" fill="white"/>',
        f'<path d="M{_x(1):.0f} {_TOP - 12}V{bottom}" stroke="#9a6324" stroke-dasharray="4 3"/>',
        f'<text x="{_x(1):.0f}" y="{_TOP - 18}" text-anchor="middle" fill="#9a6324">bar</text>',
        f'<text x="{_RIGHT:.0f}" y="{bottom + 30}" text-anchor="end">better: times the bar</text>',
    ]
    parts += [
        f'<text x="{_x(tick):.0f}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>'
        for tick in (1 / 16, 1 / 4, 1, 4, 16)
    ]
    for number, (id, one) in enumerate(outcomes.items()):
        parts += _row(id, one, _TOP + _ROW * number)
    return "\n".join([*parts, "</svg>\n"])


def _row(id: str, one: Mapping[str, Any], y: int) -> list[str]:
    value, low, high, moonshot = (
        _x(_share(one, one[name])) for name in ("value", "low", "high", "moonshot")
    )
    return [
        f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{id}</text>',
        f'<path d="M{min(low, high):.1f} {y}H{max(low, high):.1f}" stroke="#1f77b4" '
        'stroke-width="3"/>',
        f'<circle cx="{value:.1f}" cy="{y}" r="5" fill="#1f77b4"/>',
        f'<path d="M{moonshot:.1f} {y - 8}V{y + 8}" stroke="#2ca02c" stroke-width="2"/>',
    ]


def _share(one: Mapping[str, Any], value: float) -> float:
    """How many times as good as the bar."""
    bar = float(one["bar"])
    if value <= 0:
        return _LEAST if one["more_is_better"] else _MOST
    return value / bar if one["more_is_better"] else bar / value


def _x(share: float) -> float:
    inside = min(max(share, _LEAST), _MOST)
    width = math.log(_MOST / _LEAST)
    return _LEFT + (_RIGHT - _LEFT) * math.log(inside / _LEAST) / width
