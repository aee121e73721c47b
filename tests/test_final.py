"""The last stage of a search, on a device that is not as fast as its table says."""

from types import SimpleNamespace

import pytest

from sparsenas import final
from sparsenas.candidates import Trained
from sparsenas.cli.lookup import find_space
from sparsenas.final import finals, recentred
from sparsenas.finalists import Measured
from sparsenas.search_settings import SearchSettings
from sparsenas.trials import Trial
from tests.strategies.spaces import share

SPACE = find_space("tiny")
SETTINGS = SearchSettings(finalists=3)
TARGET_MS = 1.0


def predicted(arch):
    """From 0.5 to 1.5 ms, by the options."""
    return 0.5 + share(SPACE, arch)


def networks():
    """One network for each latency there is."""
    arch, found = [0] * len(SPACE.choices), []
    for i, choice in enumerate(SPACE.choices):
        for option in range(len(choice.options)):
            arch[i] = option
            found.append(tuple(arch))
    return sorted(set(found), key=predicted)


def trials_up_to(budget_ms):
    """Slower networks are more accurate."""
    archs = [arch for arch in networks() if predicted(arch) <= budget_ms]
    return [
        Trial(i, SPACE.text(arch), {"accuracy": predicted(arch) / 2, "latency_ms": predicted(arch)})
        for i, arch in enumerate(archs)
    ]


@pytest.fixture
def device(monkeypatch):
    """A device on which everything takes so many times what its table says; `asked` has what was trained."""
    found = SimpleNamespace(factor=1.0, asked=[], budgets=[])

    def measure(settings, space, data, table, trained):
        return [
            Measured(
                trained=one,
                network=None,
                model=b"",
                latency_ms_predicted=predicted(one.candidate.arch),
                latency_ms=found.factor * predicted(one.candidate.arch),
                dense_latency_ms=3.0,
            )
            for one in trained
        ]

    monkeypatch.setattr(final, "measure_finalists", measure)
    return found


def run(device, **changes):
    def train_all(jobs):
        device.asked += jobs
        return {job: Trained(candidate=job, arrays={}, accuracy=predicted(job.arch) / 2) for job in jobs}

    def search_again(budget_ms):
        device.budgets.append(budget_ms)
        return trials_up_to(budget_ms)

    return finals(
        SETTINGS,
        SPACE,
        None,
        None,
        trials_up_to(TARGET_MS * (1 - SETTINGS.margin)),
        target_ms=TARGET_MS,
        train_all=train_all,
        search_again=search_again,
        **{"baselines": {}, **changes},
    )


def test_right_predictions_need_one_round(device):
    found = run(device)
    assert device.budgets == []
    assert found.note == ""
    assert 0.9 < found.best.latency_ms <= TARGET_MS
    # Three finalists and the twin of the best of the first two, who wins.
    assert [job.dense for job in device.asked] == [False, False, False, True]
    assert found.dense.candidate.arch == found.best.trained.candidate.arch


def test_what_a_strategy_recommends_comes_before_what_was_found(device):
    asked = []

    def recommend(trials, budget_ms):
        asked.append(budget_ms)
        return [trial.arch for trial in trials[:2]]

    found = run(device, recommend=recommend)
    slowest = trials_up_to(asked[0])[-1]
    expected = [*trials_up_to(asked[0])[:2], slowest]
    assert [SPACE.text(job.arch) for job in device.asked if not job.dense] == [one.arch for one in expected]
    assert SPACE.text(found.best.trained.candidate.arch) == slowest.arch


@pytest.mark.parametrize("factor", [1.25, 0.8])
def test_the_budget_is_centred_anew_where_the_device_is_slower_or_faster(device, factor):
    device.factor = factor
    found = run(device)
    assert device.budgets == [pytest.approx(0.99 / factor)]
    assert 0.94 < found.best.latency_ms <= TARGET_MS
    assert f"prediction {1 / factor - 1:+.1%} off" in found.note
    assert len(found.trials) == len(trials_up_to(0.99 / factor))
    assert len(device.asked) == len(set(device.asked))


def test_where_nothing_new_is_found_the_closest_wins(device):
    device.factor = 4.0
    found = run(device)
    assert found.best.latency_ms == min(one.latency_ms for one in found.finalists) > TARGET_MS
    assert len(found.finalists) == 3


def test_baselines_are_trained_and_measured_beside_and_never_win(device):
    found = run(device, baselines={"uniform 0.7": SPACE.smallest, "uniform 0.9": SPACE.largest})
    assert {name: one.trained.candidate.arch for name, one in found.baselines.items()} == {
        "uniform 0.7": SPACE.smallest,
        "uniform 0.9": SPACE.largest,
    }
    assert len(found.finalists) == 3
    assert found.best in found.finalists


@pytest.mark.parametrize(("factor", "again"), [(0.93, True), (0.97, False), (1.04, False), (1.05, True)])
def test_margins_of_centring(device, factor, again):
    device.factor = factor
    found = recentred(run(device).finalists[:3], 0.96, target_ms=1.0, margin=0.04)
    assert (found is not None) == again
