"""Small pictures for the Dagster UI: SVG that needs nothing from elsewhere, as an image within Markdown."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 720, 180
_LEFT, _TOP, _BOTTOM = 70, 26, 44
_COLOURS = ("#2f6fde", "#e8893b", "#3a9d6e", "#c4498b", "#8a63d2", "#b8a13a", "#3fa7b8", "#9a5b3c", "#7a7f87")
_UNITS = ("", "k", "M", "G", "T", "P")
# The UI shows a picture on white and on black.
_STYLE = "<style>text{font:12px system-ui,sans-serif;fill:#7a7f87}.title{font-weight:600}</style>"


def columns_picture(title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """Columns side by side, in each the series on top of each other; the first lies at the bottom.

    Args:
        title: what is shown, with its unit.
        labels: what stands below the columns, as far as there is room.
        series: for each name as many values as there are labels, none below 0.

    Returns:
        Markdown with the picture.
    """
    heights = [sum(values) for values in zip(*series.values(), strict=True)] or [0.0]
    highest = max(heights) or 1.0
    drawn, width = _HEIGHT - _TOP - _BOTTOM, (_WIDTH - _LEFT) / max(len(labels), 1)
    parts = [
        _text(0, 14, title, "title"),
        _text(0, _TOP + 10, short(highest)),
        _text(0, _HEIGHT - _BOTTOM, "0"),
        f'<path d="M{_LEFT} {_HEIGHT - _BOTTOM + 0.5}H{_WIDTH}" stroke="#7a7f87"/>',
    ]
    below = [0.0] * len(labels)
    for number, values in enumerate(series.values()):
        path = []
        for place, value in enumerate(values):
            height, top = value / highest * drawn, (below[place] + value) / highest * drawn
            if value:
                left, inner = _LEFT + place * width, max(width - 1, 0.5)
                path.append(f"M{left:.1f} {_HEIGHT - _BOTTOM - top:.1f}h{inner:.1f}v{height:.1f}h-{inner:.1f}z")
            below[place] += value
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<path d="{"".join(path)}" fill="{colour}"/>')
    parts += _axis(labels, width)
    return _image(title, parts + _legend(list(series)))


def shares_picture(title: str, amounts: Mapping[str, float]) -> str:
    """One bar of which each name has its share; Markdown as of `columns_picture`."""
    total = sum(amounts.values()) or 1.0
    left, parts = 0.0, [_text(0, 14, title, "title")]
    for number, amount in enumerate(amounts.values()):
        width, colour = amount / total * _WIDTH, _COLOURS[number % len(_COLOURS)]
        parts.append(f'<rect x="{left:.1f}" y="{_TOP}" width="{width:.1f}" height="30" fill="{colour}"/>')
        left += width
    names = [f"{name} {amount / total:.1%}" for name, amount in amounts.items()]
    return _image(title, parts + _legend(names, 78), 90)


def short(number: float) -> str:
    """A number as people say it: 1234567 is `1.2M`."""
    unit = 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.3g}{_UNITS[unit]}"


def _axis(labels: Sequence[str], width: float) -> list[str]:
    every = max(1, -(-len(labels) // 10))
    return [
        _text(_LEFT + place * width, _HEIGHT - _BOTTOM + 16, label)
        for place, label in enumerate(labels)
        if place % every == 0 and place * width <= _WIDTH - _LEFT - 40
    ]


def _legend(names: Sequence[str], top: float = _HEIGHT - 8) -> list[str]:
    parts, left = [], 0.0
    for number, name in enumerate(names):
        parts.append(
            f'<rect x="{left:.0f}" y="{top - 10}" width="10" height="10" fill="{_COLOURS[number % len(_COLOURS)]}"/>'
        )
        parts.append(_text(left + 14, top, name))
        left += 34 + 7 * len(name)
    return parts


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    styled = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{styled}>{escape(words)}</text>'


def _image(title: str, parts: Sequence[str], height: int = _HEIGHT) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">'
        + "".join([_STYLE, *parts])
        + "</svg>"
    )
    encoded = base64.b64encode(svg.encode()).decode()
    words = "".join(mark if mark.isalnum() or mark in " ,.-" else " " for mark in title)
    return f"![{words}](data:image/svg+xml;base64,{encoded})"
