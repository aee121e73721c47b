"""The part of a report that tells how a search went: trials over time, beliefs, trainings."""

from html import escape

from sparsenas.report.curves import belief_chart, search_curve, training_curve
from sparsenas.report.run import Belief, RunReport

_WIDE, _NARROW = (880, 230), (360, 230)
_BELIEF = (200, 64)
_TRAINING = (420, 190)


def course(run: RunReport) -> str:
    """Returns a section of the page; empty where there is nothing to tell."""
    parts = [_trials(run), _beliefs(run), _trainings(run)]
    if not any(parts):
        return ""
    return f"<section>\n<h2>How the search went</h2>\n{''.join(parts)}\n</section>"


def _trials(run: RunReport) -> str:
    charts = [search_curve(run, width=width, height=height) for width, height in (_WIDE, _NARROW)]
    if not charts[0]:
        return ""
    return (
        "<p>Dots are trials in their order, with the accuracy that the supernet's weights give them; the "
        "line is the most accurate one within the target so far.</p>"
        f'<div class="course wide">{charts[0]}</div><div class="course narrow">{charts[1]}</div>'
    )


def _beliefs(run: RunReport) -> str:
    if not run.beliefs:
        return ""
    items = "".join(map(_belief, run.beliefs))
    last = max(belief.at[-1] for belief in run.beliefs)
    warnings = "".join(f'<p class="warning">{escape(text)}</p>' for text in run.warnings)
    return (
        "<h3>What the strategy came to believe</h3><p>Probabilities of the options of every choice, from the "
        f"start to the end after {last:,} {run.unit_of_beliefs}; the first option has the full colour. The "
        f'likeliest in the end is named.</p>{warnings}<ul class="beliefs">{items}</ul>'
    )


def _belief(belief: Belief) -> str:
    last = belief.probabilities[-1]
    likeliest = max(range(len(last)), key=last.__getitem__)
    return (
        f"<li>{belief_chart(belief, width=_BELIEF[0], height=_BELIEF[1])}<b>{_breakable(belief.choice)}</b> "
        f"{escape(belief.options[likeliest])}, {last[likeliest]:.0%}</li>"
    )


def _breakable(name: str) -> str:
    """Returns a dotted name as HTML that may go on in the next line after a dot."""
    return escape(name).replace(".", ".<wbr>")


def _trainings(run: RunReport) -> str:
    charts = [
        (curve.name, training_curve(curve, width=_TRAINING[0], height=_TRAINING[1])) for curve in run.curves
    ]
    items = "".join(f"<li><b>{escape(name)}</b>{chart}</li>" for name, chart in charts if chart)
    return f'<h3>Trainings</h3><ul class="trainings">{items}</ul>' if items else ""
