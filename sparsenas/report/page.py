"""`report.html`: what a run found, as one page that needs no network.

Everything that came from a user passes `escape` (HTML) or `_json` (the script's data). A content security
policy allows this page's own style and script, by its hash, and nothing else: no request, no other script.
"""

import base64
import hashlib
import json
import shlex
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from sparsenas import files
from sparsenas.look import PAGE_CSS
from sparsenas.report.charts import (
    CHARTS_CSS,
    TIMES,
    Frame,
    accuracy_over_latency,
    frame_of,
    front,
    significant,
    speedup_text,
    thinned,
    unit_of,
)
from sparsenas.report.course import course
from sparsenas.report.found import bytes_text, comparison, finalists
from sparsenas.report.run import LayerTime, RunReport, TrialPoint
from sparsenas.report.summary import Summary

REPORT_CSS = PAGE_CSS + CHARTS_CSS + Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
_MOST_ROWS = 24


def write_report(run: RunReport, path: Path) -> None:
    """Writes the page of a run; it appears whole or not at all."""
    files.write(path, page(run))


def page(run: RunReport) -> str:
    """Returns the page: HTML with its style, script and data inside."""
    s = run.summary
    hash_of_script = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash_of_script}'"
    title = f"{s.space} on {Path(s.dataset).name}: {speedup_text(s.speedup)} at {s.accuracy:.1%}"
    wide = frame_of(run, width=880, height=460)
    drawn = thinned(run.trials, x=wide.x, y=wide.y)
    sections = (
        _head(run),
        _search(run, wide, drawn),
        course(run),
        _layers(run),
        comparison(run),
        finalists(run),
        _architecture(run),
        _measurement(run),
        _next_steps(run),
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>\n{REPORT_CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, sections))
        + f"\n<footer>Made by SparseNAS {escape(run.versions.get('sparsenas', ''))}. "
        "<code>summary.json</code> beside this page has the figures for programs.</footer>\n</main>\n"
        f'<script type="application/json" id="data">{_data(run, drawn)}</script>\n'
        f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def sentences(run: RunReport) -> tuple[str, str, str]:
    """Returns what was found, in three sentences."""
    s, unit = run.summary, unit_of(run)
    points = 100 * (s.accuracy - s.dense_accuracy)
    if abs(points) < 0.05:
        accuracy = "as accurate"
    else:
        accuracy = f"{abs(points):.1f} points {'more' if points > 0 else 'less'} accurate"
    saved = 1 - s.file_bytes / s.dense_file_bytes
    over = s.latency_ms_measured / s.target_latency_ms - 1
    off = s.latency_ms_predicted / s.latency_ms_measured - 1
    return (
        f"{s.trials:,} trials of {s.strategy.replace('_', ' ')} in the space {s.space} found a network that "
        f"classifies {s.accuracy:.1%} of the test images of {s.dataset} right and takes "
        f"{unit.text(s.latency_ms_measured)} an image.",
        f"Its dense twin, the same architecture without zeros and trained alike, takes "
        f"{unit.text(s.dense_latency_ms_measured)}: the found network is {s.speedup:.2f} times as fast, "
        f"{accuracy}, and its file is {abs(saved):.0%} {'smaller' if saved >= 0 else 'larger'}.",
        f"It {'keeps' if over <= 0 else f'misses by {over:.1%}'} the target of "
        f"{unit.text(s.target_latency_ms)}; the latency table had predicted "
        f"{unit.text(s.latency_ms_predicted)}, which is {abs(off):.1%} "
        f"{'below' if off < 0 else 'above'} the measurement.",
    )


def _head(run: RunReport) -> str:
    s, unit = run.summary, unit_of(run)
    tiles = (
        ("Speed", f"{s.speedup:.2f}{TIMES}", "of the dense twin"),
        ("Test accuracy", f"{s.accuracy:.1%}", f"dense {s.dense_accuracy:.1%}"),
        (
            "Latency",
            unit.text(s.latency_ms_measured),
            f"dense {unit.text(s.dense_latency_ms_measured)}",
        ),
        ("Model file", bytes_text(s.file_bytes), f"dense {bytes_text(s.dense_file_bytes)}"),
    )
    rows = "".join(
        f'<div{" class=first" if i == 0 else ""}><dt>{dt}</dt><dd class="value">{value}</dd>'
        f'<dd class="note">{note}</dd></div>'
        for i, (dt, value, note) in enumerate(tiles)
    )
    return (
        f'<p class="brand"><b>SparseNAS</b> &nbsp;{escape(s.space)} on {escape(s.dataset)}</p>\n'
        f"<h1><em>{speedup_text(s.speedup)}</em> as dense,<br>{s.accuracy:.1%} accurate</h1>\n"
        f'<p class="lead">{" ".join(map(escape, sentences(run)))}</p>\n<dl class="tiles">{rows}</dl>'
    )


def _search(run: RunReport, wide: Frame, drawn: Sequence[TrialPoint]) -> str:
    narrow = frame_of(run, width=360, height=400)
    hidden = (
        f" {wide.hidden:,} trials of little accuracy lie below the chart."
        if wide.hidden > 1
        else " One trial of little accuracy lies below the chart."
        if wide.hidden
        else ""
    )
    baselines = (
        _key_item('<path class="baseline" d="M10 8m-6 5l6 -10 6 10z"/>', "one sparsity in all layers")
        if run.baselines
        else ""
    )
    return f"""<section>
<h2>What the search saw</h2>
<p>Left is faster, up is more accurate. Dots are trials: latency predicted from the table, accuracy on
validation images with the weights that all trials share. Finalists were trained from scratch and measured;
dotted lines lead there. The found network and its dense twin are judged on test images.{hidden}</p>
<ul class="key">
{_key_item('<path class="trials" d="M10 8h0"/>', "trial")}
{_key_item('<path class="front" d="M0 8h20"/><path class="front-points" d="M10 8h0"/>', "Pareto front")}
{_key_item('<path class="finalist" d="M10 8m-6 0l6 -6 6 6 -6 6z"/>', "finalist")}
{_key_item('<circle class="found" cx="10" cy="8" r="7"/>', "found")}
{_key_item('<rect class="dense" x="4.5" y="2.5" width="11" height="11" rx="2"/>', "dense twin")}
{baselines}
{_key_item('<path class="target" d="M10 0v16"/>', "target")}
</ul>
{_plot(run, wide, drawn, "wide")}
{_plot(run, narrow, drawn, "narrow")}
{_front_table(run)}
</section>"""


def _key_item(mark: str, text: str) -> str:
    return f'<li><svg class="chart" viewBox="0 0 20 16" aria-hidden="true">{mark}</svg>{text}</li>'


def _plot(run: RunReport, frame: Frame, drawn: Sequence[TrialPoint], name: str) -> str:
    x, y = frame.x, frame.y
    numbers = (frame.width, x.low, x.high, x.start, x.end, y.low, y.high, y.start, y.end)
    return (
        f'<div class="plot {name}"><svg class="chart" viewBox="0 0 {frame.width} {frame.height}" '
        'tabindex="0" role="img" aria-label="Accuracy over latency of all trials; the Pareto front is in the '
        'table below." '
        f'data-frame="{" ".join(f"{number:.9g}" for number in numbers)}">'
        f'{accuracy_over_latency(run, frame, drawn)}<circle class="cursor" r="6"/></svg>'
        '<div class="tip"></div></div>'
    )


def _front_table(run: RunReport) -> str:
    unit, best = unit_of(run), front(run.trials)
    if not best:
        return ""
    shown = best[-_MOST_ROWS:]  # The most accurate ones are the ones people look for.
    count = f"{len(best)}" if len(shown) == len(best) else f"{len(shown)} most accurate of {len(best)}"
    rows = "".join(
        f"<tr><td><code>{escape(t.arch)}</code></td><td>{unit.text(t.latency_ms)}</td><td>{t.accuracy:.1%}</td></tr>"
        for t in shown
    )
    return (
        f"<details><summary>The Pareto front as a table ({count})</summary>"
        '<div class="scroll"><table><thead><tr><th>architecture</th><th>predicted</th>'
        f"<th>supernet accuracy</th></tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _layers(run: RunReport) -> str:
    if not run.layers:
        return ""
    unit = unit_of(run)
    twins = {layer.name: layer for layer in run.dense_layers}
    longest = max(layer.us for layer in (*run.layers, *run.dense_layers)) or 1.0
    total, dense_total = (sum(layer.us for layer in layers) for layers in (run.layers, run.dense_layers))
    rows = "".join(_layer(layer, twins.get(layer.name), longest) for layer in run.layers)
    return f"""<section>
<h2>Where the time goes</h2>
<p>Median time of every layer in the native runtime, one image. The layers of the found network add up to
{unit.text(total / 1e3)}, those of the dense twin to {unit.text(dense_total / 1e3)}.</p>
<ul class="key"><li><svg viewBox="0 0 20 16"><rect class="bar" y="4" width="20" height="8" rx="3"
fill="var(--found)"/></svg>found</li><li><svg viewBox="0 0 20 16"><rect y="4" width="20" height="8" rx="3"
fill="var(--dense-bar)"/></svg>dense twin</li></ul>
<ol class="layers">{rows}</ol>
</section>"""


def _layer(layer: LayerTime, twin: LayerTime | None, longest: float) -> str:
    zeros = ""
    if layer.sparsity > 0:
        pattern = f", {escape(layer.pattern)}" if layer.pattern else ""
        zeros = f' <span class="zeros">{layer.sparsity:.0%} zeros{pattern}</span>'
    why = f'<div class="detail">{escape(layer.note)}</div>' if layer.note else ""
    bars = f'<div class="bar found" style="width:{layer.us / longest:.1%}"></div>'
    time = f"<b>{_us(layer.us)}</b> µs"
    if twin is not None:
        bars += f'<div class="bar dense" style="width:{twin.us / longest:.1%}"></div>'
        time = f"{_us(twin.us)} → {time}"
    return (
        f'<li><div><div class="name">{escape(layer.name)}</div>'
        f'<div class="detail">{escape(layer.op)} {escape(layer.shape.replace("x", TIMES))}{zeros}</div></div>'
        f'<div class="bars">{bars}<div class="detail">{escape(layer.kernel)}</div>{why}</div>'
        f'<div class="time">{time}</div></li>'
    )


def _us(us: float) -> str:
    return significant(us) if us >= 1 else f"{us:.2f}"  # The clock tells no more.


def _architecture(run: RunReport) -> str:
    winner = next((trial for trial in run.trials if trial.arch == run.summary.arch), None)
    if winner is None or not winner.options:
        return ""
    items = "".join(
        f"<li>{escape(str(name))} <b>{escape(str(option))}</b></li>"
        for name, option in winner.options.items()
    )
    return f"""<section>
<h2>The architecture found</h2>
<p>What was chosen where the space {escape(run.summary.space)} leaves a choice; as text
<code>{escape(run.summary.arch)}</code>.</p>
<ul class="options">{items}</ul>
</section>"""


def _measurement(run: RunReport) -> str:
    s, machine = run.summary, run.machine
    core = machine.get("pinned_core")
    processor = [str(machine.get("cpu", "unknown"))]
    if "cores" in machine:
        processor.append(f"{machine['cores']} cores")
    facts = [
        ("Processor", ", ".join(processor)),
        ("Instruction set", machine.get("isa", "unknown")),
        ("Measured on", "one thread" if core is None else f"one thread pinned to core {core}"),
        ("Device table", s.device),
        ("Check against JAX", f"outputs on test images differ by at most {s.parity_max_abs_error:.1e}"),
        ("Search", f"{s.trials:,} trials of {s.strategy.replace('_', ' ')}, seed {s.seed}, {_duration(s)}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in facts)
    command = f"<p>This command repeats the run:</p>{_command(run.command)}" if run.command else ""
    return f"""<section class="steps">
<h2>How it was measured</h2>
<dl class="facts">{listed}</dl>
{command}
</section>"""


def _duration(s: Summary) -> str:
    if s.search_seconds < 120:
        return f"{s.search_seconds:.0f} s with the supernet's training"
    return f"{s.search_seconds / 60:.0f} min with the supernet's training"


def _next_steps(run: RunReport) -> str:
    steps = [
        ("Classify an image with the found network:", "sparsenas run best/model.snas IMAGE.png"),
        ("See where its time goes on another machine:", "sparsenas profile best/model.snas"),
        (
            "Measure it on a device without Python, which needs this one program and the model file:",
            "sparsenas-run measure model.snas",
        ),
        (
            "Take the model file along, packed for this machine:",
            "sparsenas export . --out model.snas --device local",
        ),
        (
            "Write it for LiteRT, on phones and elsewhere:",
            "sparsenas export . --format tflite --out model.tflite",
        ),
        ("Make a page that runs it in any browser:", "sparsenas export . --format web --out site"),
    ]
    if faster := _faster_command(run):
        steps.append(("Search for a network that is faster by another quarter:", faster))
    listed = "".join(f"<p>{text}</p>{_command(command)}" for text, command in steps)
    return f"""<section class="steps">
<h2>How to go on</h2>
<p>From the folder of this page:</p>
{listed}
</section>"""


def _faster_command(run: RunReport) -> str:
    """Returns the run's command with three quarters of its target and without its folder."""
    words = shlex.split(run.command)
    if not words:
        return ""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("--out", "--resume", "--target-ms"):
            skip = True
        elif not word.startswith(("--out=", "--resume=", "--target-ms=")):
            kept.append(word)
    return shlex.join([*kept, "--target-ms", significant(run.summary.target_latency_ms * 0.75)])


def _command(command: str) -> str:
    return f'<div class="command"><pre>{escape(command)}</pre></div>'


def _data(run: RunReport, drawn: Sequence[TrialPoint]) -> str:
    """Returns what the chart's cursor tells: choices with their options, and marks that refer to them."""
    s, unit = run.summary, unit_of(run)
    options = _Options(drawn)
    by_arch = {trial.arch: options.indices(trial) for trial in drawn}
    marks = [
        [_kind(trial), round(trial.latency_ms, 7), round(trial.accuracy, 5), by_arch[trial.arch], 6]
        for trial in drawn
    ]
    for f in run.finalists:
        if f.name != s.arch:
            title = f"Finalist {f.name}, trained and measured"
            marks.append([title, f.latency_ms_measured, f.accuracy, by_arch.get(f.name, []), 10])
    for b in run.baselines:
        marks.append([f"{b.name}, test images", b.latency_ms_measured, b.accuracy, [], 9])
    chosen = by_arch.get(s.arch, [])
    marks.append(["Dense twin, test images", s.dense_latency_ms_measured, s.dense_accuracy, [], 12])
    marks.append([f"Found {s.arch}, test images", s.latency_ms_measured, s.accuracy, chosen, 12])
    return _json({"unit": unit.name, "perMs": unit.per_ms, "choices": options.table, "marks": marks})


def _kind(trial: TrialPoint) -> str:
    return f"Trial {trial.arch}" + (" (finalist)" if trial.is_finalist else "")


class _Options:
    """Numbers the options of all choices, as thousands of trials repeat them."""

    def __init__(self, trials: Iterable[TrialPoint]) -> None:
        numbers: dict[str, dict[str, int]] = {}
        for trial in trials:
            for name, option in trial.options.items():
                seen = numbers.setdefault(str(name), {})
                seen.setdefault(str(option), len(seen))
        self._numbers = numbers
        self.table: Sequence = [[name, list(seen)] for name, seen in numbers.items()]

    def indices(self, trial: TrialPoint) -> list[int]:
        """Returns the number of the option of every choice, -1 where the trial has none."""
        options = {str(name): str(option) for name, option in trial.options.items()}
        return [seen[options[name]] if name in options else -1 for name, seen in self._numbers.items()]


def _json(value: object) -> str:
    """Returns JSON that can stand inside a script element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
