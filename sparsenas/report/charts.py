"""Accuracy over latency of a search, as SVG.

The drawing has fixed pixels and no script of its own; the page lays a cursor over it, and shows a wide one on
screens and a narrow one on phones, so that text keeps its size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from sparsenas.look import COLORS_CSS
from sparsenas.report.run import RunReport, TrialPoint

# More dots than this do not show more, they make the page heavy.
_MOST_DOTS = 1500
# A few hopeless trials would press all others against the upper edge: the axis leaves out those that are
# farther below the usual ones, this share of all, than this share of the usual ones' range.
_USUAL = 0.8
_BELOW_USUAL = 0.5

CHARTS_CSS = Path(__file__).with_name("charts.css").read_text(encoding="utf-8")


TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Axis:
    """A linear scale from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, count: int) -> list[float]:
        """Returns about `count` round values.

        >>> Axis(0, 0.23, 0, 1).ticks(5)
        [0.0, 0.05, 0.1, 0.15, 0.2]
        """
        rough = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(m for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(i * step, 12) for i in range(first, last + 1)]


@dataclass(frozen=True)
class Unit:
    """A unit of time and how many of it make a millisecond."""

    name: str
    per_ms: float

    def text(self, ms: float, digits: int = 3) -> str:
        """Returns a time for people, with as many significant digits."""
        return f"{significant(ms * self.per_ms, digits)}\N{NO-BREAK SPACE}{self.name}"


MICROSECONDS, MILLISECONDS = Unit("µs", 1e3), Unit("ms", 1.0)


def unit_of(run: RunReport) -> Unit:
    """Returns the one unit of all times of a report."""
    return MICROSECONDS if run.summary.dense_latency_ms_measured < 1 else MILLISECONDS


def significant(value: float, digits: int = 3) -> str:
    """Returns a number with so many significant digits and no exponent.

    >>> significant(12.345), significant(0.012345), significant(123456.0), significant(9.999)
    ('12.3', '0.0123', '123456', '10.0')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    value = float(f"{value:.{digits}g}") if abs(value) < 10**digits else value
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def front(trials: Sequence[TrialPoint]) -> list[TrialPoint]:
    """Returns the trials that no other beats in accuracy and latency at once, fastest first."""
    best: list[TrialPoint] = []
    for trial in sorted(trials, key=lambda t: (t.latency_ms, -t.accuracy)):
        if not best or trial.accuracy > best[-1].accuracy:
            best.append(trial)
    return best


def thinned(trials: Sequence[TrialPoint], *, x: Axis, y: Axis, most: int = _MOST_DOTS) -> list[TrialPoint]:
    """Returns the trials worth drawing: each architecture once, and of those in one place the first.

    The Pareto front and the finalists always stay. A place is a square of as few pixels as `most` allows.
    """
    distinct = list({trial.arch: trial for trial in reversed(trials)}.values())[::-1]
    always = {trial.arch for trial in front(distinct)} | {t.arch for t in distinct if t.is_finalist}
    others = [trial for trial in distinct if trial.arch not in always]
    side = 1.0
    kept = others
    while len(kept) > most:
        side *= 1.25
        places: dict[tuple[int, int], TrialPoint] = {}
        for trial in others:
            place = (int(x(trial.latency_ms) // side), int(y(trial.accuracy) // side))
            places.setdefault(place, trial)
        kept = list(places.values())
    return [trial for trial in distinct if trial.arch in always] + kept


@dataclass(frozen=True)
class Frame:
    """Where a chart's values lie: pixels of the drawing, axes, and trials below the accuracy axis."""

    width: int
    height: int
    x: Axis
    y: Axis
    hidden: int

    def holds(self, trial: TrialPoint) -> bool:
        """Tells whether a trial is inside the axes."""
        return trial.accuracy >= self.y.low


def frame_of(run: RunReport, *, width: int, height: int) -> Frame:
    """Returns axes that hold all trials but hopeless ones, the target and what was trained."""
    s = run.summary
    times = [t.latency_ms for t in run.trials] + [f.latency_ms_measured for f in run.finalists]
    times += [b.latency_ms_measured for b in run.baselines]
    times += [s.latency_ms_measured, s.dense_latency_ms_measured, s.target_latency_ms]
    trained = [f.accuracy for f in (*run.finalists, *run.baselines)] + [s.accuracy, s.dense_accuracy]
    searched = sorted(t.accuracy for t in run.trials)
    needed = (
        trained + [t.accuracy for t in run.trials if t.is_finalist] + [t.accuracy for t in front(run.trials)]
    )
    high = max(needed)
    usual = min([*needed, *searched[int((1 - _USUAL) * len(searched)) :]])
    floor = usual - _BELOW_USUAL * (high - usual)
    low = min([*needed, *(accuracy for accuracy in searched if accuracy >= floor)])
    spread = max(high - low, 0.02)
    left, right = min(times), max(times)
    reach = max(right - left, 0.1 * right)
    left = max(0.0, left - 0.08 * reach)
    x = Axis(left if left > 0.25 * right else 0.0, right + 0.08 * reach, 52, width - 12)
    y = Axis(max(0.0, low - 0.06 * spread), high + 0.2 * spread, height - 46, 14)
    return Frame(width, height, x, y, sum(t.accuracy < y.low for t in run.trials))


def accuracy_over_latency(run: RunReport, frame: Frame, drawn: Sequence[TrialPoint]) -> str:
    """Returns the chart's inner SVG, with a dot for each of the `drawn` trials.

    Dots: trials, predicted latency and the supernet's accuracy. Line: their Pareto front. Diamonds:
    finalists, trained from scratch and measured, each tied to its dot. Disc and square: the winner and its
    dense twin. Triangles: networks with one sparsity in all layers.
    """
    s, x, y, unit = run.summary, frame.x, frame.y, unit_of(run)
    narrow = frame.width < 500
    shown = [trial for trial in drawn if frame.holds(trial)]
    best = front(run.trials)
    on_front = {trial.arch for trial in best}

    def at(ms: float, accuracy: float) -> str:
        return f"{x(ms):.1f} {y(accuracy):.1f}"

    parts = [_axes(frame, unit, narrow)]
    target = x(s.target_latency_ms)
    parts.append(f'<path class="target" d="M{target:.1f} {y.start}V{y.end}"/>')
    parts.append(_dots("trials", [at(t.latency_ms, t.accuracy) for t in shown if t.arch not in on_front]))
    if best:
        steps = "".join(f"H{x(t.latency_ms):.1f}V{y(t.accuracy):.1f}" for t in best[1:])
        parts.append(f'<path class="front" d="M{at(best[0].latency_ms, best[0].accuracy)}{steps}"/>')
        parts.append(_dots("front-points", [at(t.latency_ms, t.accuracy) for t in best]))

    searched = {trial.arch: trial for trial in run.trials}
    for finalist in run.finalists:
        is_winner = finalist.name == s.arch
        accuracy = s.accuracy if is_winner else finalist.accuracy
        ms = s.latency_ms_measured if is_winner else finalist.latency_ms_measured
        if trial := searched.get(finalist.name):
            parts.append(
                f'<path class="trained" d="M{at(trial.latency_ms, trial.accuracy)}L{at(ms, accuracy)}"/>'
            )
        if not is_winner:
            parts.append(f'<path class="finalist" d="M{at(ms, accuracy)}m-6 0l6 -6 6 6 -6 6z"/>')
    for baseline in run.baselines:
        place = at(baseline.latency_ms_measured, baseline.accuracy)
        parts.append(f'<path class="baseline" d="M{place}m-6 5l6 -10 6 10z"/>')
    parts.append(
        f'<text class="label" x="{target + (-6 if target > x.end - 110 else 6):.1f}" y="{y.end + 10}" '
        f'text-anchor="{"end" if target > x.end - 110 else "start"}">'
        f"target {unit.text(s.target_latency_ms)}</text>"
    )
    parts.append(_winner_and_twin(run, frame, unit))
    return "".join(parts)


def _dots(name: str, places: Sequence[str]) -> str:
    # Lines of no length with round ends: one element for a thousand dots.
    return f'<path class="{name}" d="{"".join(f"M{place}h0" for place in places)}"/>' if places else ""


def _axes(frame: Frame, unit: Unit, narrow: bool) -> str:
    x, y = frame.x, frame.y
    parts = []
    for value in y.ticks(6):
        if value <= 1:
            digits = 0 if all(abs(t * 100 - round(t * 100)) < 1e-6 for t in y.ticks(6)) else 1
            parts.append(
                f'<path class="grid" d="M{x.start} {y(value):.1f}H{x.end}"/>'
                f'<text x="{x.start - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.{digits}%}</text>'
            )
    scaled = Axis(x.low * unit.per_ms, x.high * unit.per_ms, x.start, x.end)
    for value in scaled.ticks(5 if narrow else 10):
        parts.append(
            f'<text x="{scaled(value):.1f}" y="{y.start + 18}" text-anchor="middle">{value:g}</text>'
        )
    parts.append(
        f'<text x="{x.end}" y="{y.start + 36}" text-anchor="end">latency of one image, {unit.name}</text>'
    )
    return "".join(parts)


def _winner_and_twin(run: RunReport, frame: Frame, unit: Unit) -> str:
    """Draws the winner, its dense twin, and an arrow from one to the other."""
    s, x, y = run.summary, frame.x, frame.y
    found = x(s.latency_ms_measured), y(s.accuracy)
    dense = x(s.dense_latency_ms_measured), y(s.dense_accuracy)
    parts = []
    length = math.dist(found, dense)
    if length > 40:
        toward = (found[0] - dense[0]) / length, (found[1] - dense[1]) / length
        tail = dense[0] + 12 * toward[0], dense[1] + 12 * toward[1]
        tip = found[0] - 13 * toward[0], found[1] - 13 * toward[1]
        angle = math.degrees(math.atan2(toward[1], toward[0]))
        parts.append(
            f'<path class="faster" d="M{tail[0]:.1f} {tail[1]:.1f}L{tip[0]:.1f} {tip[1]:.1f}"/>'
            f'<path class="faster" d="M-7 -4.5L0 0L-7 4.5" '
            f'transform="translate({tip[0]:.1f} {tip[1]:.1f}) rotate({angle:.1f})"/>'
        )
    if length > 190:
        parts.append(
            f'<text class="label of-speedup" x="{(found[0] + dense[0]) / 2:.1f}" '
            f'y="{(found[1] + dense[1]) / 2 + 18:.1f}" text-anchor="middle">{speedup_text(s.speedup)}</text>'
        )
    # Side by side there is no room for both labels above the marks.
    dense_below = abs(found[0] - dense[0]) < 130
    parts.append(
        f'<rect class="dense" x="{dense[0] - 6:.1f}" y="{dense[1] - 6:.1f}" width="12" height="12" rx="2"/>'
        f'<circle class="found" cx="{found[0]:.1f}" cy="{found[1]:.1f}" r="8"/>'
    )
    for place, name, title, accuracy, ms, below in (
        (found, "of-found", "Found", s.accuracy, s.latency_ms_measured, False),
        (dense, "of-dense", "Dense twin", s.dense_accuracy, s.dense_latency_ms_measured, dense_below),
    ):
        anchor = "middle"
        if place[0] < x.start + 60:
            anchor = "start"
        elif place[0] > x.end - 60:
            anchor = "end"
        left = place[0] + {"start": -8, "middle": 0, "end": 8}[anchor]
        top = place[1] + (24 if below else -31)
        parts.append(
            f'<text class="label {name}" text-anchor="{anchor}">'
            f'<tspan class="strong" x="{left:.1f}" y="{top:.1f}">{title}</tspan>'
            f'<tspan x="{left:.1f}" dy="15">{accuracy:.1%} · {unit.text(ms)}</tspan></text>'
        )
    return "".join(parts)


def speedup_text(speedup: float) -> str:
    """Returns a ratio of times for people.

    >>> speedup_text(1.827) == f"1.83{TIMES} as fast"
    True
    """
    return f"{speedup:.2f}{TIMES} as fast"


def figure_svg(run: RunReport, *, width: int = 860, height: int = 460) -> str:
    """Returns the chart as a file of its own, light or dark as its viewer likes."""
    frame = frame_of(run, width=width, height=height)
    s = run.summary
    title = escape(
        f"Accuracy over latency: {s.trials} trials of {s.strategy} in space {s.space} on {s.dataset}"
    )
    drawn = thinned(run.trials, x=frame.x, y=frame.y)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 -40 {width + 12} {height + 46}" '
        f'width="{width + 12}" height="{height + 46}" role="img"><title>{title}</title>'
        f"<style>{COLORS_CSS}{CHARTS_CSS}</style>"
        f'<rect y="-40" width="{width + 12}" height="{height + 46}" rx="10" fill="var(--surface)"/>'
        f"{_key(frame)}{accuracy_over_latency(run, frame, drawn)}</svg>\n"
    )


def _key(frame: Frame) -> str:
    """Draws the meaning of the marks in one row above the chart."""
    left = frame.x.start + 8
    return (
        f'<path class="trials" d="M{left} -18h0"/><text x="{left + 14}" y="-14">trial, predicted</text>'
        f'<path class="front" d="M{left + 130} -18h18"/><path class="front-points" d="M{left + 139} -18h0"/>'
        f'<text x="{left + 156}" y="-14">Pareto front</text>'
        f'<path class="finalist" d="M{left + 258} -18m-6 0l6 -6 6 6 -6 6z"/>'
        f'<text x="{left + 272}" y="-14">finalist, trained and measured</text>'
    )
