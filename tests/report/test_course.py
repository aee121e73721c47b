"""How a search went, drawn."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from sparsenas.report.course import course
from sparsenas.report.curves import belief_chart, search_curve, training_curve
from sparsenas.report.page import page
from sparsenas.report.run import Belief, Curve
from tests.report.test_page import EVIL, made_up

BELIEF = Belief(
    choice="width",
    options=("16", "32"),
    at=(0, 50, 100),
    probabilities=((0.5, 0.5), (0.7, 0.3), (0.9, 0.1)),
)


def test_the_line_is_the_best_within_the_target_so_far():
    run = made_up(40)
    drawn = ET.fromstring(search_curve(run, width=400, height=200))
    (line,) = [path.get("d") for path in drawn if path.get("class") == "front"]
    best, steps = 0.0, 0
    for trial in run.trials:
        if trial.latency_ms <= run.summary.target_latency_ms and trial.accuracy > best:
            best, steps = trial.accuracy, steps + 1
    assert line.count("V") == steps - 1
    (dots,) = [path.get("d") for path in drawn if path.get("class") == "trials"]
    assert dots.count("M") == 40


def test_ten_thousand_trials_stay_small():
    run = made_up(10_000)
    assert len(search_curve(run, width=880, height=230)) < 50_000
    assert len(page(run)) < 3_000_000


def test_probabilities_stand_on_each_other_and_fill_the_chart():
    drawn = ET.fromstring(belief_chart(BELIEF, width=100, height=50))
    first, second = (
        [tuple(map(float, point.split(","))) for point in shape.get("points").split()] for shape in drawn
    )
    assert first[:3] == [(0, 25), (50, 15), (100, 5)]
    assert [y for _, y in first[3:]] == [50] * 3
    assert [y for _, y in second[:3]] == [0] * 3
    assert second[3:] == first[:3][::-1]


@pytest.mark.parametrize("count", [2, 401, 5000])
def test_a_training_is_drawn_from_its_first_step_to_its_last(count):
    curve = Curve(
        name="loss", steps=tuple(range(1, count + 1)), values=tuple(1 / i for i in range(1, count + 1))
    )
    drawn = ET.fromstring(training_curve(curve, width=400, height=200))
    (line,) = [path.get("d") for path in drawn if path.get("class") == "front"]
    assert line.count("L") <= 401
    assert line.split("L")[-1].startswith("388.0 ")


def test_the_page_shows_what_there_is():
    run = made_up()
    assert "What the strategy came to believe" not in page(run)
    assert "Trainings" not in page(run)
    told = replace(
        run,
        beliefs=(replace(BELIEF, choice=EVIL),),
        warnings=(EVIL,),
        curves=(Curve(name=EVIL, steps=(1, 2, 3), values=(3.0, 2.0, 1.0)),),
    )
    text = page(told)
    assert "What the strategy came to believe" in text
    assert "16, 90%" in text
    assert "after 100 trials" in text
    assert "<script>alert" not in text


def test_nothing_is_told_of_a_search_without_trials():
    run = made_up(0)
    assert course(run) == ""
    assert training_curve(Curve(name="a", steps=(1,), values=(1.0,)), width=9, height=9) == ""
