"""What happened over a search, as SVG: its trials, what its strategy believed, how trainings went."""

from collections.abc import Sequence
from html import escape

from sparsenas.report.charts import Axis, Frame, significant
from sparsenas.report.run import Belief, Curve, RunReport

_MOST_POINTS = 400
# Shades of the options of a choice, from the first to the last, in percent of the full colour.
_PALEST, _FULL = 22, 100


def search_curve(run: RunReport, *, width: int, height: int) -> str:
    """Returns trials in their order, and the most accurate one within the target so far, as a line.

    Empty where there are fewer than two trials.
    """
    trials = run.trials
    if len(trials) < 2:
        return ""
    accuracies = [trial.accuracy for trial in trials]
    best, steps = None, []
    for number, trial in enumerate(trials, 1):
        within = trial.latency_ms <= run.summary.target_latency_ms
        if within and (best is None or trial.accuracy > best):
            best = trial.accuracy
            steps.append((number, best))
    frame = _frame(width, height, len(trials), min(accuracies), max(accuracies))
    x, y = frame.x, frame.y
    stride = -(-len(trials) // (4 * _MOST_POINTS))
    dots = "".join(
        f"M{x(number):.1f} {y(accuracy):.1f}h0"
        for number, accuracy in enumerate(accuracies, 1)
        if (number - 1) % stride == 0
    )
    parts = [_axes(frame, "trial", percent=True), f'<path class="trials" d="{dots}"/>']
    if steps:
        first, *rest = steps
        line = "".join(f"H{x(number):.1f}V{y(accuracy):.1f}" for number, accuracy in rest)
        parts.append(
            f'<path class="front" d="M{x(first[0]):.1f} {y(first[1]):.1f}{line}H{x(len(trials)):.1f}"/>'
        )
    return _svg(frame, "Accuracy of every trial in its order", "".join(parts))


def belief_chart(belief: Belief, *, width: int, height: int) -> str:
    """Returns the probabilities of the options over time, one above the other; the first is lowest."""
    rows, times = _some(belief.probabilities), _some(belief.at)
    x = Axis(0, max(times[-1], 1), 0, width)
    below = [0.0] * len(rows)
    parts = []
    count = len(belief.options)
    for i, option in enumerate(belief.options):
        above = [low + row[i] for low, row in zip(below, rows, strict=True)]
        there = " ".join(f"{x(t):.1f},{height * (1 - a):.1f}" for t, a in zip(times, above, strict=True))
        back = " ".join(
            f"{x(t):.1f},{height * (1 - b):.1f}"
            for t, b in zip(reversed(times), reversed(below), strict=True)
        )
        shade = _FULL - (_FULL - _PALEST) * i / max(1, count - 1)
        fill = f"color-mix(in srgb, var(--front) {shade:.0f}%, var(--surface))"
        parts.append(
            f'<polygon points="{there} {back}" style="fill:{fill}"><title>{escape(option)}: '
            f"{rows[-1][i]:.0%} in the end</title></polygon>"
        )
        below = above
    title = escape(f"Probabilities of the options of {belief.choice}")
    return (
        f'<svg class="chart belief" viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{title}">{"".join(parts)}</svg>'
    )


def training_curve(curve: Curve, *, width: int, height: int) -> str:
    """Returns a number over the steps of a training; empty where there are fewer than two."""
    if len(curve.steps) < 2:
        return ""
    steps, values = _some(curve.steps), _some(curve.values)
    frame = _frame(width, height, steps[-1], min(values), max(values))
    line = "L".join(
        f"{frame.x(step):.1f} {frame.y(value):.1f}" for step, value in zip(steps, values, strict=True)
    )
    drawn = f'{_axes(frame, "step", percent=False)}<path class="front" d="M{line}"/>'
    return _svg(frame, curve.name, drawn)


def _some(values: Sequence) -> Sequence:
    """Returns as many as are worth drawing, the first and the last among them."""
    stride = -(-len(values) // _MOST_POINTS)
    taken = list(values[::stride])
    return taken if (len(values) - 1) % stride == 0 else [*taken, values[-1]]


def _frame(width: int, height: int, last: int, low: float, high: float) -> Frame:
    spread = max(high - low, 1e-6)
    y = Axis(low - 0.06 * spread, high + 0.08 * spread, height - 30, 8)
    return Frame(width, height, Axis(0, last, 52, width - 12), y, 0)


def _axes(frame: Frame, what: str, *, percent: bool) -> str:
    x, y = frame.x, frame.y
    parts = [
        f'<path class="grid" d="M{x.start} {y(value):.1f}H{x.end}"/><text x="{x.start - 8}" '
        f'y="{y(value) + 4:.1f}" text-anchor="end">{f"{value:.1%}" if percent else significant(value)}</text>'
        for value in y.ticks(4)
    ]
    parts += [
        f'<text x="{x(value):.1f}" y="{y.start + 18}" text-anchor="middle">{value:g}</text>'
        for value in x.ticks(6)
        if value < 0.93 * x.high
    ]
    parts.append(f'<text x="{x.end}" y="{y.start + 18}" text-anchor="end">{what}</text>')
    return "".join(parts)


def _svg(frame: Frame, title: str, content: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-label="{escape(title)}">{content}</svg>'
    )
