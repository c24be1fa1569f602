"""A bar chart of shares as an SVG text: groups of bars on a scale from 0 to 100 %."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

_COLOURS = ("#2a6f97", "#b8c4cc", "#d98e04", "#6a994e")
_BAR, _GAP, _HEIGHT = 18, 22, 220
_LEFT, _TOP, _BOTTOM, _RIGHT = 48, 56, 84, 24


def bar_chart(title: str, shares: Mapping[str, Mapping[str, float]]) -> str:
    """A chart.

    Args:
        title: stands above it.
        shares: group -> series -> share, 0 to 1; series that a group lacks leave a gap.
    """
    series = list(dict.fromkeys(name for group in shares.values() for name in group))
    step = len(series) * _BAR + _GAP
    width = max(_LEFT + _RIGHT + step * len(shares), 420)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_TOP + _HEIGHT + _BOTTOM}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for i, name in enumerate(series):
        x = _LEFT + 110 * i
        parts.append(f'<rect x="{x}" y="30" width="10" height="10" fill="{_COLOURS[i % len(_COLOURS)]}"/>')
        parts.append(f'<text x="{x + 15}" y="39">{escape(name)}</text>')
    for percent in range(0, 101, 20):
        y = _y(percent / 100)
        parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{width - _RIGHT}" y2="{y}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{percent} %</text>')
    for i, (group, values) in enumerate(shares.items()):
        left = _LEFT + _GAP / 2 + i * step
        for j, name in enumerate(series):
            if name in values:
                parts += _bar(left + j * _BAR, values[name], _COLOURS[j % len(_COLOURS)])
        x, y = left + len(series) * _BAR / 2, _TOP + _HEIGHT + 14
        parts.append(f'<text x="{x:g}" y="{y}" text-anchor="end" transform="rotate(-35 {x:g} {y})">{escape(group)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(x: float, share: float, colour: str) -> list[str]:
    y = _y(share)
    bar = f'<rect x="{x:g}" y="{y}" width="{_BAR - 2}" height="{round(_TOP + _HEIGHT - y, 2)}" fill="{colour}"/>'
    return [bar, f'<text x="{x + _BAR / 2 - 1:g}" y="{y - 3:g}" text-anchor="middle" font-size="9">{share * 100:.0f}</text>']


def _y(share: float) -> float:
    return round(_TOP + _HEIGHT * (1 - min(max(share, 0.0), 1.0)), 2)
