"""The parts of a report that set the found network against others: dense, of one sparsity, the finalists."""

from html import escape

from sparsenas.report.charts import TIMES, significant, speedup_text, unit_of
from sparsenas.report.run import RunReport


def comparison(run: RunReport) -> str:
    """Returns the section of the dense twin and of networks with one sparsity."""
    s, unit = run.summary, unit_of(run)
    points = 100 * (s.accuracy - s.dense_accuracy)
    rows = [
        ("Test accuracy", f"{s.dense_accuracy:.2%}", f"{s.accuracy:.2%}", f"{points:+.2f} points"),
        (
            "Latency",
            unit.text(s.dense_latency_ms_measured, 4),
            unit.text(s.latency_ms_measured, 4),
            speedup_text(s.speedup),
        ),
        (
            "Model file",
            bytes_text(s.dense_file_bytes),
            bytes_text(s.file_bytes),
            f"{s.file_bytes / s.dense_file_bytes:.0%} as large",
        ),
    ]
    body = "".join(
        f'<tr><th>{name}</th><td>{dense}</td><td class="best">{found}</td><td>{ratio}</td></tr>'
        for name, dense, found, ratio in rows
    )
    return f"""<section>
<h2>Found against dense</h2>
<p>The dense twin is the same architecture with every layer dense. It was trained alike and measured in turn
with the found network, on the same core.</p>
<div class="scroll"><table><thead><tr><th></th><th>dense twin</th><th>found</th><th></th></tr></thead>
<tbody>{body}</tbody></table></div>
{_baselines(run)}
</section>"""


def _baselines(run: RunReport) -> str:
    """Returns the networks to compare with beside the dense twin, fastest first."""
    if not run.baselines:
        return ""
    s, unit = run.summary, unit_of(run)
    rows = "".join(
        f"<tr><th>{escape(b.name)}</th><td>{b.accuracy:.2%}</td>"
        f"<td>{unit.text(b.latency_ms_measured, 4)}</td>"
        f"<td>{100 * (s.accuracy - b.accuracy):+.2f} points, "
        f"{b.latency_ms_measured / s.latency_ms_measured:.2f}{TIMES} the speed</td></tr>"
        for b in sorted(run.baselines, key=lambda b: b.latency_ms_measured)
    )
    return (
        "<h3>Found against one sparsity in all layers</h3><p>The most accurate networks of the space that "
        "have the same zeros in every layer that has a choice of them, trained and measured like the found "
        "one. Scaled ones are also as wide and as deep everywhere.</p>"
        '<div class="scroll"><table><thead><tr><th></th><th>test accuracy</th><th>measured</th>'
        f"<th>found is ahead by</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def finalists(run: RunReport) -> str:
    """Returns the section of predicted against measured; empty where there are no finalists."""
    if not run.finalists:
        return ""
    s, unit = run.summary, unit_of(run)
    rows = []
    for finalist in sorted(run.finalists, key=lambda f: f.name != s.arch):
        is_winner = finalist.name == s.arch
        off = finalist.latency_ms_predicted / finalist.latency_ms_measured - 1
        rows.append(
            f"<tr><td><code{' class=best' if is_winner else ''}>{escape(finalist.name)}</code></td>"
            f"<td>{finalist.accuracy:.1%}</td><td>{unit.text(finalist.latency_ms_predicted)}</td>"
            f"<td>{unit.text(finalist.latency_ms_measured)}</td><td>{off:+.1%}</td></tr>"
        )
    return f"""<section>
<h2>Finalists</h2>
<p>The most accurate of those measured within the target wins; where none is within, the fastest. Accuracy is
that on validation images, so that the test images choose nothing.</p>
<div class="scroll"><table><thead><tr><th>architecture</th><th>validation</th><th>predicted</th>
<th>measured</th><th>prediction off by</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>
</section>"""


def bytes_text(count: int) -> str:
    """Returns the size of a file for people."""
    return (
        f"{significant(count / 1e3)}\N{NO-BREAK SPACE}kB"
        if count < 1e6
        else f"{significant(count / 1e6)}\N{NO-BREAK SPACE}MB"
    )
