"""Curves as an SVG picture, both axes logarithmic; the same numbers give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

_COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
_WIDTH: Final = 760
_HEIGHT: Final = 420
#: Left, top, right and bottom of the plot.
_LEFT, _TOP, _RIGHT, _BOTTOM = 60, 40, 600, 370
_STYLE: Final = "text{font:12px sans-serif;fill:#333}line{stroke:#ddd}polyline{fill:none;stroke-width:2}"


def svg_curves(curves: Mapping[str, Mapping[int, float]], title: str, below: str) -> str:
    """Return a picture of one curve for each name, from what stands below to the value."""
    values = [value for row in curves.values() for value in row.values()]
    across = _Axis(min(min(row) for row in curves.values()), max(max(row) for row in curves.values()), _LEFT, _RIGHT)
    up = _Axis(min(values), max(values), _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<style>{_STYLE}</style><rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="22">{escape(title)}</text>',
        f'<text x="{(_LEFT + _RIGHT) // 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(below)}</text>',
        *_grid(across, up),
    ]
    for number, (name, row) in enumerate(curves.items()):
        parts += _curve(number, name, [(across.place(length), up.place(value)) for length, value in row.items()])
    return "\n".join([*parts, "</svg>", ""])


class _Axis:
    """A logarithmic axis over whole powers of ten."""

    def __init__(self, least: float, most: float, begin: int, end: int) -> None:
        self._first = math.floor(math.log10(least))
        self._last = max(math.ceil(math.log10(most)), self._first + 1)
        self._begin, self._end = begin, end

    def place(self, value: float) -> float:
        """Return where a value stands."""
        share = (math.log10(value) - self._first) / (self._last - self._first)
        return round(self._begin + share * (self._end - self._begin), 1)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield the place and the text of each power of ten."""
        for power in range(self._first, self._last + 1):
            yield self.place(10**power), f"{10**power:,}"


def _grid(across: _Axis, up: _Axis) -> Iterator[str]:
    for x, text in across.ticks():
        yield f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{_BOTTOM}"/>'
        yield f'<text x="{x}" y="{_BOTTOM + 16}" text-anchor="middle">{text}</text>'
    for y, text in up.ticks():
        yield f'<line x1="{_LEFT}" y1="{y}" x2="{_RIGHT}" y2="{y}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{text}</text>'


def _curve(number: int, name: str, points: list[tuple[float, float]]) -> Iterator[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    yield f'<polyline stroke="{colour}" points="{" ".join(f"{x},{y}" for x, y in points)}"/>'
    for x, y in points:
        yield f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'
    y = _TOP + 14 + 20 * number
    yield f'<rect x="{_RIGHT + 14}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
    yield f'<text x="{_RIGHT + 30}" y="{y}">{escape(name)}</text>'
