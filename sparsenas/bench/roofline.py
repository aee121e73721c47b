"""A roofline of measured kernels, as SVG: how fast each runs over how much it computes for each byte.

Bytes are those that must move at least once: packed weights, input and output. The roofs are what the core
computes and copies (Williams et al., 2009, https://doi.org/10.1145/1498765.1498785).
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

from sparsenas.look import COLORS_CSS
from sparsenas.report.charts import CHARTS_CSS, Axis

_CSS = """
.chart .roof { stroke: var(--ink); stroke-width: 1.5; fill: none; }
.chart .bandwidth { stroke: var(--muted); stroke-dasharray: 6 4; fill: none; }
.chart .mark { stroke: var(--surface); stroke-width: .75; }
.chart .mark-dense { fill: var(--dense); }
.chart .mark-single { fill: var(--front); }
.chart .mark-block { fill: var(--found); }
.chart .mark-pattern { fill: none; stroke: var(--front); stroke-width: 2; }
"""
# What a pattern is drawn with: class, outline around the origin, and words.
_MARKS = {
    "dense": ("mark-dense", "M-4 -4H4V4H-4z", "dense"),
    "unstructured": ("mark-single", "M-4 0A4 4 0 1 1 4 0A4 4 0 1 1 -4 0z", "unstructured, direct"),
    "direct": ("mark-single", "M-4 0A4 4 0 1 1 4 0A4 4 0 1 1 -4 0z", ""),
    "block2": ("mark-block", "M-5 0L0 -5 5 0 0 5z", "2x1 blocks"),
    "block4": ("mark-block", "M0 -5.5L5 4H-5z", "4x1 blocks"),
    "pattern": ("mark-pattern", "M-4 0A4 4 0 1 1 4 0A4 4 0 1 1 -4 0z", "kernel patterns"),
}


def least_bytes(record: Mapping) -> float:
    """Returns the bytes of a layer's packed weights, input and output.

    >>> least_bytes({"op": "conv1x1", "pattern": "dense", "c_in": 2, "c_out": 3, "height": 1, "width": 1,
    ...              "stride": 1, "useful_gflops": 12.0, "us": 0.001})
    44.0
    """
    pixels_out = math.prod((record[side] - 1) // record["stride"] + 1 for side in ("height", "width"))
    nonzeros = _operations(record) / 2 / pixels_out
    # A sparse weight comes with its place, of which a block has one.
    places = {"dense": 0.0, "block2": 1 / 2, "block4": 1 / 4, "pattern": 1 / 4}.get(record["pattern"], 1.0)
    activations = record["c_in"] * record["height"] * record["width"] + record["c_out"] * pixels_out
    return 4 * (nonzeros * (1 + places) + activations)


def _operations(record: Mapping) -> float:
    return record["useful_gflops"] * record["us"] * 1e3


def roofline_svg(
    result: Mapping, bandwidths: Mapping[str, float], *, width: int = 860, height: int = 500
) -> str:
    """Returns the picture of what `bench_kernels` measured on one thread with hot caches.

    Args:
        bandwidths: 10^9 bytes per second that the core copies, by what from ("memory").
    """
    records = [record for record in result["records"] if (record["cache"], record["threads"]) == ("hot", 1)]
    peak = result["machine"]["peak_gflops"]
    intensities = [_operations(record) / least_bytes(record) for record in records]
    rates = [record["useful_gflops"] for record in records]
    x = _log_axis([*intensities, *(peak / speed for speed in bandwidths.values())], 60, width - 12)
    y = _log_axis([*rates, peak], height - 46, 14)

    parts = [_grid(x, y)]
    for name, speed in bandwidths.items():
        parts.append(_bandwidth(name, speed, peak, x, y))
    roof = y(math.log10(peak))
    parts.append(
        f'<path class="roof" d="M{x.start} {roof:.1f}H{x.end}"/>'
        f'<text class="label" x="{x.end}" y="{roof - 6:.1f}" text-anchor="end">'
        f"multiply-adds, {peak:.0f} GFLOP/s</text>"
    )
    for record, intensity in zip(records, intensities, strict=True):
        name, outline, _ = _MARKS[record["pattern"]]
        place = f"{x(math.log10(intensity)):.1f} {y(math.log10(record['useful_gflops'])):.1f}"
        parts.append(
            f'<path class="mark {name}" d="{outline}" transform="translate({place})">'
            f"<title>{escape(_words(record))}</title></path>"
        )
    machine = result["machine"]
    title = escape(f"Roofline of {machine['isa']} kernels on {machine['cpu']}, one core, hot caches")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 -40 {width + 12} {height + 46}" '
        f'width="{width + 12}" height="{height + 46}" role="img"><title>{title}</title>'
        f"<style>{COLORS_CSS}{CHARTS_CSS}{_CSS}</style>"
        f'<rect y="-40" width="{width + 12}" height="{height + 46}" rx="10" fill="var(--surface)"/>'
        f"{_key(records, x.start)}{''.join(parts)}</svg>\n"
    )


def _log_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Returns an axis of decimal logarithms with some room around the values."""
    return Axis(math.log10(min(values)) - 0.08, math.log10(max(values)) + 0.08, start, end)


def _ticks(axis: Axis) -> list[float]:
    low, high = 10**axis.low, 10**axis.high
    decades = range(math.floor(axis.low), math.ceil(axis.high) + 1)
    return [
        digit * 10.0**decade
        for decade in decades
        for digit in (1, 2, 5)
        if low <= digit * 10.0**decade <= high
    ]


def _grid(x: Axis, y: Axis) -> str:
    parts = []
    for rate in _ticks(y):
        place = y(math.log10(rate))
        parts.append(
            f'<path class="grid" d="M{x.start} {place:.1f}H{x.end}"/>'
            f'<text x="{x.start - 8}" y="{place + 4:.1f}" text-anchor="end">{rate:g}</text>'
        )
    for intensity in _ticks(x):
        place = x(math.log10(intensity))
        parts.append(f'<text x="{place:.1f}" y="{y.start + 18}" text-anchor="middle">{intensity:g}</text>')
    parts.append(
        f'<text x="{x.end}" y="{y.start + 36}" text-anchor="end">useful operations per byte of weights, '
        f'input and output</text><text x="{x.start - 40}" y="{y.end - 2}">GFLOP/s</text>'
    )
    return "".join(parts)


def _bandwidth(name: str, gbytes: float, peak: float, x: Axis, y: Axis) -> str:
    """Draws rate = bandwidth * intensity from the edge of the drawing to the roof."""
    left = max(x.low, y.low - math.log10(gbytes))
    right = min(x.high, math.log10(peak / gbytes))
    at = [(x(log), y(log + math.log10(gbytes))) for log in (left, right)]
    angle = math.degrees(math.atan2(at[1][1] - at[0][1], at[1][0] - at[0][0]))
    middle = at[0][0] + 0.35 * (at[1][0] - at[0][0]), at[0][1] + 0.35 * (at[1][1] - at[0][1])
    return (
        f'<path class="bandwidth" d="M{at[0][0]:.1f} {at[0][1]:.1f}L{at[1][0]:.1f} {at[1][1]:.1f}"/>'
        f'<text class="label" text-anchor="middle" '
        f'transform="translate({middle[0]:.1f} {middle[1] - 6:.1f}) rotate({angle:.1f})">'
        f"{escape(name)}, {gbytes:.0f} GB/s</text>"
    )


def _words(record: Mapping) -> str:
    zeros = f", {record['sparsity']:.0%} zeros" if record["sparsity"] else ""
    return (
        f"{record['kernel_name']}, {record['c_in']}x{record['c_out']} at {record['height']}x{record['width']}"
        f"{zeros}: {record['useful_gflops']:.0f} GFLOP/s, {record['fraction_of_peak']:.0%} of peak"
    )


def _key(records: Sequence[Mapping], left: float) -> str:
    """Draws the meaning of the marks in one row above the chart."""
    parts = []
    found = {record["pattern"] for record in records}
    if "direct" in found:
        found.add("unstructured")
    for pattern, (name, outline, words) in _MARKS.items():
        if pattern not in found or not words:
            continue
        parts.append(
            f'<path class="mark {name}" d="{outline}" transform="translate({left + 8} -18)"/>'
            f'<text x="{left + 18}" y="-14">{words}</text>'
        )
        left += 34 + 6.6 * len(words)
    return "".join(parts)
