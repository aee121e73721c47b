import json

import numpy as np

from sparsenas.believed import note_beliefs
from sparsenas.builder import Builder
from sparsenas.reward import of_metrics, within
from sparsenas.strategies.beliefs import FILE, beliefs_of
from sparsenas.strategies.collapse import collapses, decided_early, warnings
from sparsenas.strategies.evolution import regularized_evolution
from sparsenas.strategies.random import random
from sparsenas.strategies.reinforce import reinforce
from sparsenas.trials import Trial
from tests.strategies.spaces import TINY, play


def space():
    net = Builder("believed", image=(8, 8, 3), classes=10)
    width = net.choice("width", (8, 16, 24))
    x = net.conv_hwc("stem", net.image, width)
    x = net.optional(net.choice("depth", (0, 1)) >= 1, x, lambda x: net.conv1x1("mix", x, width))
    return net.classify(x)


SPACE = space()
EVEN = {"width": [1 / 3] * 3, "depth": [0.5, 0.5]}


def over_time(unit="steps", **each):
    """Beliefs at 10, 20, ...; a choice that is not given stays even."""
    rows = len(next(iter(each.values())))
    found = [each.get(name, [EVEN[name]] * rows) for name in ("width", "depth")]
    at = [10 * (i + 1) for i in range(rows)]
    return beliefs_of(SPACE, at, [np.array(one) for one in found], unit=unit)


def test_a_collapse_says_what_and_since_when():
    skipped = [[0.5, 0.5], [0.9, 0.1], [0.6, 0.4], [0.85, 0.15], [0.95, 0.05]]
    (found,) = collapses(SPACE, over_time(depth=skipped))
    assert (found.kind, found.since, found.probabilities) == ("depth", 40, {"depth": 0.95})
    assert str(found).startswith("collapsed to skip connections since step 40: ")
    (found,) = collapses(SPACE, over_time(width=[[0.9, 0.05, 0.05]] * 2))
    assert (found.kind, found.since) == ("width", 10)


def test_undecided_and_decided_for_more_is_no_collapse():
    assert collapses(SPACE, over_time(depth=[[0.95, 0.05], [0.7, 0.3]])) == []
    assert collapses(SPACE, over_time(width=[[0.01, 0.01, 0.98]], depth=[[0.02, 0.98]])) == []
    nothing = beliefs_of(SPACE, [], [np.zeros((0, 3)), np.zeros((0, 2))], unit="steps")
    assert collapses(SPACE, nothing) == []
    assert decided_early(SPACE, nothing) == {}


def test_a_choice_that_is_decided_at_once_and_for_good_is_reported():
    at_once = [[0.3, 0.4, 0.3], *[[0.0, 0.995, 0.005]] * 4]
    wavering = [[0.5, 0.5], [0.01, 0.99], [0.5, 0.5], [0.1, 0.9], [0.01, 0.99]]
    found = over_time("trials", width=at_once, depth=wavering)
    assert decided_early(SPACE, found) == {"width": 20}
    assert warnings(SPACE, found) == ["decided early: width after 20 of 50 trials; search longer"]
    # Gradients decide steadily; that is no failure.
    assert warnings(SPACE, over_time("steps", width=at_once, depth=wavering)) == []


def test_what_never_settles_is_not_reported():
    open_until_the_end = [[0.99, 0.01], [0.99, 0.01], [0.6, 0.4]]
    assert decided_early(SPACE, over_time("trials", depth=open_until_the_end)) == {}


def noted(strategy, trials, folder, *, best):
    """Plays a strategy whose reward is highest at `best`, and notes what it believed."""
    reward = of_metrics(within(1.0))

    def score(arch):
        near = np.mean([a == b for a, b in zip(arch, best, strict=True)])
        return {"accuracy": float(near), "latency_ms": 0.5}

    asked, _ = play(strategy, trials, score)
    log = [Trial(i, TINY.text(arch), score(arch)) for i, arch in enumerate(asked)]
    # Neither what was given up nor who trained on is told.
    log += [Trial(trials, log[0].arch, None, error="killed"), Trial(trials, log[0].arch, score(best), rung=1)]
    return note_beliefs(TINY, strategy, reward, log, folder, name="mine")


def test_sampled_searches_that_collapse_say_so(tmp_path):
    for strategy, trials in (
        (reinforce(TINY, trials=400, warmup=0.0), 400),
        (regularized_evolution(TINY, population=32, tournament=24), 600),
    ):
        found = noted(strategy, trials, tmp_path, best=TINY.smallest)
        assert any(one.startswith("collapsed to skip connections since trial") for one in found)
        assert any(one.startswith("collapsed to the least width since trial") for one in found)
        head, *lines = map(json.loads, (tmp_path / FILE).read_text().splitlines())
        assert (head["strategy"], head["unit"], head["warnings"]) == ("mine", "trials", found)
        assert (lines[0]["at"], lines[-1]["at"]) == (0, trials)


def test_sampled_searches_that_find_more_do_not(tmp_path):
    found = noted(regularized_evolution(TINY), 200, tmp_path, best=TINY.largest)
    assert not any("collapsed" in one for one in found)


def test_nothing_is_left_of_strategies_without_probabilities(tmp_path):
    assert noted(random(TINY), 5, tmp_path, best=TINY.largest) is None
    assert not list(tmp_path.iterdir())
