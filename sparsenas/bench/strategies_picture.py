"""Regret over evaluations as SVG, a line with its confidence band for each strategy."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sparsenas.look import COLORS_CSS
from sparsenas.report.charts import Axis

_WIDTH, _HEIGHT = 760, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 190, 46, 52
# A regret of 0 has no logarithm; it lies on the lower edge.
_LEAST = 1e-3
_COLORS = ("#868e96", "#0b8f6f", "#a8701a", "#1f8fbf", "#4a57d6", "#d9480f", "#b0578d", "#5c7f1f")
_CSS = """
text { font: 13px system-ui, sans-serif; fill: var(--muted); }
text.title { font-weight: 600; fill: var(--ink); }
.grid { stroke: var(--line); }
.line { fill: none; stroke-width: 2.5; }
.band { opacity: 0.13; }
"""


def strategies_svg(records: Sequence[Mapping[str, Any]]) -> str:
    """Draws the records of `bench_strategies`, the tables one below the other."""
    tables = list(dict.fromkeys(record["table"] for record in records))
    names = list(dict.fromkeys(record["strategy"] for record in records))
    colors = {name: _COLORS[i % len(_COLORS)] for i, name in enumerate(names)}
    charts = "".join(
        f'<g transform="translate(0 {i * _HEIGHT})">{_chart(table, records, colors)}</g>'
        for i, table in enumerate(tables)
    )
    height = _HEIGHT * len(tables)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img"><title>Regret of search strategies</title>'
        f"<style>{COLORS_CSS}{_CSS}</style>"
        f'<rect width="{_WIDTH}" height="{height}" fill="var(--surface)"/>{charts}</svg>\n'
    )


def _chart(table: str, records: Sequence[Mapping[str, Any]], colors: Mapping[str, str]) -> str:
    mine = [record for record in records if record["table"] == table]
    counts = sorted({record["evaluations"] for record in mine})
    high = max(max(record["regret_mean"] + record["regret_ci95"] for record in mine), 10 * _LEAST)
    x = Axis(math.log(counts[0]), math.log(counts[-1]) + 1e-9, _LEFT, _WIDTH - _RIGHT)
    y = Axis(math.log10(_LEAST), math.log10(1.2 * high), _HEIGHT - _BOTTOM, _TOP)
    title = escape(f"Regret in accuracy points, {table}, mean of {mine[0]['seeds']} seeds")
    parts = [f'<text class="title" x="{_LEFT}" y="22">{title}</text>']
    for power in range(round(math.log10(_LEAST)), math.floor(y.high) + 1):
        label = "0" if power == round(math.log10(_LEAST)) else f"{10.0**power:g}"
        parts.append(
            f'<path class="grid" d="M{x.start} {y(power):.1f}H{x.end}"/>'
            f'<text x="{x.start - 8}" y="{y(power) + 4:.1f}" text-anchor="end">{label}</text>'
        )
    for count in counts:
        parts.append(
            f'<text x="{x(math.log(count)):.1f}" y="{y.start + 18}" text-anchor="middle">{count}</text>'
        )
    parts.append(f'<text x="{x.end}" y="{y.start + 38}" text-anchor="end">evaluations</text>')
    ends = []
    for name, color in colors.items():
        line = sorted((r for r in mine if r["strategy"] == name), key=lambda record: record["evaluations"])
        if line:
            parts.append(_line(line, x, y, color))
            ends.append((_height(line[-1]["regret_mean"], y), name, color))
    return "".join([*parts, *_names(ends, x, y)])


def _line(line: Sequence[Mapping[str, Any]], x: Axis, y: Axis, color: str) -> str:
    def points(sign: int) -> list[str]:
        return [
            f"{x(math.log(one['evaluations'])):.1f} "
            f"{_height(one['regret_mean'] + sign * one['regret_ci95'], y):.1f}"
            for one in line
        ]

    return (
        f'<path class="band" fill="{color}" d="M{"L".join(points(1) + points(-1)[::-1])}Z"/>'
        f'<path class="line" stroke="{color}" d="M{"L".join(points(0))}"/>'
    )


def _height(regret: float, y: Axis) -> float:
    return y(math.log10(max(regret, _LEAST)))


def _names(ends: Sequence[tuple[float, str, str]], x: Axis, y: Axis) -> list[str]:
    """Writes names beside the lines' ends, none over another, from the bottom up."""
    parts, free = [], y.start + 4
    for at, name, color in sorted(ends, key=lambda end: (-end[0], end[1])):
        free = min(at + 4, free)
        parts.append(
            f'<text x="{x.end + 10}" y="{free:.1f}" style="fill:{color};font-weight:600">'
            f"{escape(name)}</text>"
        )
        free -= 17
    return parts
