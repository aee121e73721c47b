"""Pictures of a report as SVG files of their own, for papers; light or dark as their viewer likes."""

from html import escape
from pathlib import Path

from sparsenas import files
from sparsenas.look import COLORS_CSS
from sparsenas.report.charts import CHARTS_CSS, Axis, figure_svg, significant
from sparsenas.report.curves import search_curve, training_curve
from sparsenas.report.run import RunReport

MAIN = "search.svg"
"""The picture that lies beside the page; the others are in a folder."""
FOLDER = "pictures"

_WIDTH, _HEIGHT = 860, 260
_ROW, _NAMES, _TIMES = 30, 260, 130


def write_stills(run: RunReport, folder: Path) -> None:
    """Writes all pictures into the folder of a run."""
    files.write(folder / MAIN, figure_svg(run))
    for name, text in stills(run).items():
        files.write(folder / FOLDER / f"{name}.svg", text)


def stills(run: RunReport) -> dict[str, str]:
    """Returns pictures by name: the course of the search, the layers' times, each training."""
    found = {}
    if course := search_curve(run, width=_WIDTH, height=_HEIGHT):
        found["course"] = _still(course)
    if run.layers:
        found["layers"] = _still(layers_svg(run))
    for curve in run.curves:
        if drawn := training_curve(curve, width=_WIDTH, height=_HEIGHT):
            found[curve.name.replace(", ", "-").replace(" ", "-")] = _still(drawn)
    return found


def layers_svg(run: RunReport) -> str:
    """Draws every layer's time as a bar, beside that of its dense twin."""
    twins = {layer.name: layer for layer in run.dense_layers}
    longest = max(layer.us for layer in (*run.layers, *run.dense_layers)) or 1.0
    x = Axis(0, longest, _NAMES, _WIDTH - _TIMES)
    parts = []
    for row, layer in enumerate(run.layers):
        top, twin = 8 + row * _ROW, twins.get(layer.name)
        zeros = f", {layer.sparsity:.0%} zeros" if layer.sparsity else ""
        time = f"{significant(layer.us)} µs"
        parts.append(
            f'<text x="{_NAMES - 10}" y="{top + 14}" text-anchor="end">{escape(layer.name)}{zeros}</text>'
            f'<rect x="{_NAMES}" y="{top + 1}" width="{x(layer.us) - _NAMES:.1f}" height="9" rx="2" '
            'fill="var(--found)"/>'
        )
        if twin is not None:
            time = f"{significant(twin.us)} → {time}"
            parts.append(
                f'<rect x="{_NAMES}" y="{top + 12}" width="{x(twin.us) - _NAMES:.1f}" height="9" rx="2" '
                'fill="var(--dense-bar)"/>'
            )
        parts.append(f'<text x="{_WIDTH - 8}" y="{top + 14}" text-anchor="end">{time}</text>')
    height = 16 + _ROW * len(run.layers)
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Time of every layer, '
        f'found above its dense twin">{"".join(parts)}</svg>'
    )


def _still(svg: str) -> str:
    """Returns a chart of the page as a file: with its name space, its style and its background."""
    start, content = svg.split(">", 1)
    return (
        f'{start} xmlns="http://www.w3.org/2000/svg"><style>{COLORS_CSS}{CHARTS_CSS}</style>'
        f'<rect width="100%" height="100%" fill="var(--surface)"/>{content}\n'
    )
