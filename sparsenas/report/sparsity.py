"""Latency of a layer over its sparsity as SVG, a line for each kind of kernel: where sparse starts to pay."""

from dataclasses import dataclass, replace
from html import escape

import numpy as np

from sparsenas.latency.layer_text import describe
from sparsenas.latency.model import LatencyModel
from sparsenas.look import COLORS_CSS
from sparsenas.report.charts import Axis, significant
from sparsenas.space import SPARSE_PATTERNS, Layer, misplaced
from sparsenas.sparsity.patterns import PATTERNS

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 46, 52
_LEAST, _MOST = 0.02, 0.98
_POINTS = 65


@dataclass(frozen=True, eq=False)
class Line:
    """Microseconds of a pattern over fractions of zeros, and from where it pays, if it does."""

    pattern: str
    zeros: np.ndarray
    us: np.ndarray
    low_us: np.ndarray
    high_us: np.ndarray
    pays_from: float | None


def lines_of(model: LatencyModel, layer: Layer) -> tuple[float, list[Line]]:
    """Returns what the layer takes dense, and a line for each pattern that it may have."""
    dense_us = model.layer_us(layer.dense())
    lines = []
    for name in SPARSE_PATTERNS.get(layer.op, ()):
        if name == "2:4" or misplaced(PATTERNS[name], layer.op, layer.kernel):
            continue
        least = max(_LEAST, 0.56) if name == "pattern" else _LEAST
        zeros = np.linspace(least, _MOST, _POINTS)
        found = [
            model.layer(replace(layer, pattern=PATTERNS[name], sparsity=round(float(z), 4))) for z in zeros
        ]
        us = np.array([one.us for one in found])
        # It pays from where it is faster at every higher fraction.
        slower = np.flatnonzero(us > 0.98 * dense_us)
        first = slower[-1] + 1 if len(slower) else 0
        lines.append(
            Line(
                pattern=name,
                zeros=zeros,
                us=us,
                low_us=np.array([one.low_us for one in found]),
                high_us=np.array([one.high_us for one in found]),
                pays_from=float(zeros[first]) if first < len(zeros) else None,
            )
        )
    return dense_us, lines


def sparsity_svg(model: LatencyModel, layer: Layer) -> str:
    """Draws them."""
    dense_us, lines = lines_of(model, layer)
    most = 1.15 * max([dense_us, *(line.us.max() for line in lines)])
    x = Axis(0, 1, _LEFT, _WIDTH - _RIGHT)
    y = Axis(0, most, _HEIGHT - _BOTTOM, _TOP)
    title = escape(f"{describe(layer.dense())} on {model.device}, {model.table.kind}")
    parts = [f'<text class="title" x="{_LEFT}" y="22">{title}</text>']
    for tick in y.ticks(5):
        parts.append(
            f'<path class="grid" d="M{x.start} {y(tick):.1f}H{x.end}"/>'
            f'<text x="{x.start - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    for tick in x.ticks(5):
        parts.append(f'<text x="{x(tick):.1f}" y="{y.start + 18}" text-anchor="middle">{tick:.0%}</text>')
    parts.append(
        f'<text x="{x.end}" y="{y.start + 38}" text-anchor="end">zeros</text>'
        f'<text x="{x.start - 8}" y="{y.end - 10}" text-anchor="end">µs</text>'
        f'<path class="dense" d="M{x.start} {y(dense_us):.1f}H{x.end}"/>'
    )
    labels = [("dense", dense_us, "var(--dense)", f"{significant(dense_us)} µs")]
    for line in lines:
        color = f"var(--{line.pattern})"
        parts.append(_band(line, x, y, color) + _path(line, x, y, color))
        pays = f"pays from {line.pays_from:.0%}" if line.pays_from else "does not pay"
        labels.append((line.pattern, float(line.us[-1]), color, pays))
        if line.pays_from:
            at = float(np.interp(line.pays_from, line.zeros, line.us))
            parts.append(
                f'<circle cx="{x(line.pays_from):.1f}" cy="{y(at):.1f}" r="4" style="fill:{color}"/>'
            )
    parts += _labels(labels, x, y)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img"><title>Latency over sparsity: {title}</title>'
        f"<style>{COLORS_CSS}{_CSS}</style>"
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="var(--surface)"/>{"".join(parts)}</svg>\n'
    )


_CSS = """
text { font: 13px system-ui, sans-serif; fill: var(--muted); }
text.title { font-weight: 600; fill: var(--ink); }
.grid { stroke: var(--line); }
.dense { stroke: var(--dense); stroke-width: 2; stroke-dasharray: 6 4; }
.line { fill: none; stroke-width: 2.5; }
.band { opacity: 0.12; }
"""


def _path(line: Line, x: Axis, y: Axis, color: str) -> str:
    points = "L".join(f"{x(z):.1f} {y(us):.1f}" for z, us in zip(line.zeros, line.us, strict=True))
    return f'<path class="line" style="stroke:{color}" d="M{points}"/>'


def _band(line: Line, x: Axis, y: Axis, color: str) -> str:
    upper = [(z, min(us, y.high)) for z, us in zip(line.zeros, line.high_us, strict=True)]
    lower = list(zip(line.zeros, line.low_us, strict=True))[::-1]
    points = "L".join(f"{x(z):.1f} {y(us):.1f}" for z, us in upper + lower)
    return f'<path class="band" style="fill:{color}" d="M{points}Z"/>'


def _labels(labels: list[tuple[str, float, str, str]], x: Axis, y: Axis) -> list[str]:
    """Writes names beside the lines' ends, none over another."""
    # From the bottom up, as the fastest lines lie near each other there.
    parts, free = [], y.start - 10.0
    for name, us, color, note in sorted(labels, key=lambda label: label[1]):
        at = min(y(us) + 4, free)
        free = at - 32
        parts.append(
            f'<text x="{x.end + 12}" y="{at:.1f}" style="fill:{color};font-weight:600">{escape(name)}</text>'
            f'<text x="{x.end + 12}" y="{at + 14:.1f}">{escape(note)}</text>'
        )
    return parts
