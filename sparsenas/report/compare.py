"""Several runs side by side, as one page that needs no network."""

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from sparsenas import __version__, files
from sparsenas.report.charts import (
    MICROSECONDS,
    MILLISECONDS,
    TIMES,
    Axis,
    Unit,
    significant,
)
from sparsenas.report.page import REPORT_CSS
from sparsenas.report.summary import Summary

_WIDTH, _HEIGHT = 880, 440


def write_comparison(runs: Sequence[tuple[str, Summary]], path: Path) -> None:
    """Writes the page of several runs, by name; it appears whole or not at all."""
    files.write(path, comparison(runs))


def comparison(runs: Sequence[tuple[str, Summary]]) -> str:
    """Returns the page: HTML with its style inside, without a script."""
    unit = MICROSECONDS if all(s.dense_latency_ms_measured < 1 for _, s in runs) else MILLISECONDS
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    title = f"{len(runs)} runs side by side"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>\n{REPORT_CSS}</style>\n</head>\n<body>\n<main>\n"
        f'<p class="brand"><b>SparseNAS</b></p>\n<h1>{title}</h1>\n<p class="lead">{_lead(runs, unit)}</p>\n'
        f"{_chart(runs, unit)}\n{_table(runs, unit)}\n"
        f"<footer>Made by SparseNAS {__version__}.</footer>\n</main>\n</body>\n</html>\n"
    )


def _lead(runs: Sequence[tuple[str, Summary]], unit: Unit) -> str:
    accurate, s = max(runs, key=lambda run: run[1].accuracy)
    fastest, t = min(runs, key=lambda run: run[1].latency_ms_measured)
    text = f"The most accurate is {accurate} with {s.accuracy:.1%} of the test images"
    if fastest == accurate:
        text += f", and it is the fastest, {unit.text(s.latency_ms_measured)} an image."
    else:
        text += f", the fastest {fastest} with {unit.text(t.latency_ms_measured)} an image."
    if len({(s.dataset, s.device) for _, s in runs}) > 1:
        text += " Not all are of one data set and one device: compare with care."
    return escape(text)


def _chart(runs: Sequence[tuple[str, Summary]], unit: Unit) -> str:
    times = [ms for _, s in runs for ms in (s.latency_ms_measured, s.dense_latency_ms_measured)]
    accuracies = [a for _, s in runs for a in (s.accuracy, s.dense_accuracy)]
    spread = max(max(accuracies) - min(accuracies), 0.01)
    x = Axis(0, 1.1 * max(times) * unit.per_ms, 52, _WIDTH - 12)
    y = Axis(min(accuracies) - 0.15 * spread, max(accuracies) + 0.25 * spread, _HEIGHT - 46, 14)
    parts = [
        f'<path class="grid" d="M{x.start} {y(v):.1f}H{x.end}"/>'
        f'<text x="{x.start - 8}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.1%}</text>'
        for v in y.ticks(6)
        if v <= 1
    ]
    parts += [
        f'<text x="{x(v):.1f}" y="{y.start + 18}" text-anchor="middle">{v:g}</text>' for v in x.ticks(10)
    ]
    parts.append(
        f'<text x="{x.end}" y="{y.start + 36}" text-anchor="end">latency of one image, {unit.name}</text>'
    )
    for name, s in runs:
        found = x(s.latency_ms_measured * unit.per_ms), y(s.accuracy)
        dense = x(s.dense_latency_ms_measured * unit.per_ms), y(s.dense_accuracy)
        anchor = "end" if found[0] > x.end - 120 else "start"
        side = -12 if anchor == "end" else 12
        parts.append(
            f'<path class="trained" d="M{dense[0]:.1f} {dense[1]:.1f}L{found[0]:.1f} {found[1]:.1f}"/>'
            f'<rect class="dense" x="{dense[0] - 5:.1f}" y="{dense[1] - 5:.1f}" width="10" height="10"/>'
            f'<circle class="found" cx="{found[0]:.1f}" cy="{found[1]:.1f}" r="7"/>'
            f'<text class="label of-found" x="{found[0] + side:.1f}" y="{found[1] + 4:.1f}" '
            f'text-anchor="{anchor}"><tspan class="strong">{escape(name)}</tspan></text>'
        )
    return (
        "<section>\n<h2>Accuracy over latency</h2>\n<p>Discs are the networks that were found, squares their "
        "dense twins; all were measured, on test images.</p>"
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Accuracy over latency; '
        f'the figures are in the table below.">{"".join(parts)}</svg>\n</section>'
    )


def _table(runs: Sequence[tuple[str, Summary]], unit: Unit) -> str:
    """What is best in a row is marked, where one is better than another."""
    rows: list[tuple[str, Callable[[Summary], str], Callable[[Summary], float] | None]] = [
        ("Test accuracy", lambda s: f"{s.accuracy:.2%}", lambda s: s.accuracy),
        ("dense twin", lambda s: f"{s.dense_accuracy:.2%}", None),
        ("Latency", lambda s: unit.text(s.latency_ms_measured, 4), lambda s: -s.latency_ms_measured),
        ("dense twin", lambda s: unit.text(s.dense_latency_ms_measured, 4), None),
        ("Speed over dense", lambda s: f"{s.speedup:.2f}{TIMES}", lambda s: s.speedup),
        ("Predicted", lambda s: f"{s.latency_ms_predicted / s.latency_ms_measured - 1:+.1%} off", None),
        ("Target", lambda s: unit.text(s.target_latency_ms), None),
        ("Model file", lambda s: f"{significant(s.file_bytes / 1e3)} kB", lambda s: -s.file_bytes),
        ("Space", lambda s: escape(s.space), None),
        ("Data set", lambda s: escape(Path(s.dataset).name), None),
        ("Device", lambda s: escape(s.device), None),
        ("Strategy", lambda s: escape(s.strategy.replace("_", " ")), None),
        ("Trials", lambda s: f"{s.trials:,}", None),
        ("Seed", lambda s: f"{s.seed}", None),
        ("Architecture", lambda s: f"<code>{escape(s.arch)}</code>", None),
    ]
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in runs)
    body = []
    for title, text, score in rows:
        scores = [score(s) for _, s in runs] if score else []
        best = max(scores) if len(set(scores)) > 1 else None
        cells = "".join(
            f"<td{' class=best' if score and score(s) == best else ''}>{text(s)}</td>" for _, s in runs
        )
        body.append(f"<tr><th>{title}</th>{cells}</tr>")
    return (
        '<section>\n<h2>Figures</h2>\n<div class="scroll"><table>'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>\n</section>"
    )
