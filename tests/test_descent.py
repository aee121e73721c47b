"""A search by gradient as a stage of a run: stopped, ended early, landed again for another budget."""

import pytest

from sparsenas.builder import Builder
from sparsenas.data.splits import Data
from sparsenas.descent import descend
from sparsenas.errors import UserError
from sparsenas.finalists import choose_finalists
from sparsenas.latency.tabulate import tabulate
from sparsenas.objectives import Costs, Objective
from sparsenas.sparsity.patterns import DENSE, Sparse
from sparsenas.strategies.beliefs import FILE, read_beliefs
from sparsenas.strategies.differentiable.catalog import DIFFERENTIABLE
from sparsenas.supernet import supernet
from sparsenas.train import ArchitectureSettings, SupernetSettings, contest
from sparsenas.trials import TrialLog
from tests.columns import split

SETTINGS = ArchitectureSettings(steps=40, batch=16, shift=0, rank_every=10)
RANKING = SupernetSettings(steps=40, batch=16, shift=0, rank_every=10)
DATA = Data(
    name="columns",
    classes=("left", "middle", "right"),
    train=split(60, 0),
    validation=split(30, 1),
    test=split(30, 2),
)


def small_space():
    net = Builder("small", image=(8, 8, 3), classes=3)
    x = net.conv_hwc("stem", net.image, 8, stride=2, activation="relu6")
    for i in range(2):
        zeros = net.choice(f"zeros{i}", (DENSE, Sparse(0.5), Sparse(0.8)))
        x = net.conv1x1(f"mix{i}", x, net.choice(f"width{i}", range(8, 25, 4)), sparsity=zeros)
    return net.classify(x)


SPACE = small_space()
LATENCY = tabulate(SPACE, lambda layer: 1e-4 * layer.macs)
FASTEST_MS = LATENCY.least(len(SPACE.choices))[1]
TARGET_MS = 2 * FASTEST_MS


@pytest.fixture
def run(tmp_path):
    """Starts the stage in a folder; returns the trials, and the steps of which training was noted."""
    log = TrialLog(tmp_path / "trials.sqlite")

    def start(budget_ms=TARGET_MS, *, stop_at=None, stop_ranking=False, finish=False):
        noted = []

        def update(done, total, text):
            if stop_ranking and text.startswith("as "):
                raise KeyboardInterrupt

        def note(step, numbers):
            noted.append(step)
            if step == stop_at:
                raise KeyboardInterrupt

        found = descend(
            SPACE,
            "gumbel",
            DIFFERENTIABLE["gumbel"],
            DATA,
            Costs(
                functions={"latency_ms": LATENCY},
                objectives=(Objective("latency_ms", target=TARGET_MS),),
            ),
            log,
            tmp_path,
            SETTINGS,
            RANKING,
            target_ms=TARGET_MS,
            budget_ms=budget_ms,
            combine="worst",
            seed=0,
            note=note,
            update=update,
            finish=finish,
        )
        return found, noted

    yield start
    log.close()


def test_what_was_stopped_ends_with_what_it_believed_and_lands_again_for_other_budgets(run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(stop_at=20)
    found, noted = run(finish=True)
    assert noted == []
    assert read_beliefs(tmp_path / FILE).at == (10, 20)
    for trial in found:
        assert trial.metrics["latency_ms"] <= TARGET_MS
        assert 0 <= trial.metrics["accuracy"] <= 1
    # As when the run was stopped again while finalists were trained.
    assert run(finish=True) == (found, [])
    # Where predictions were off, for the budget that was centred anew.
    budget_ms = 0.7 * TARGET_MS
    after, noted = run(budget_ms, finish=True)
    added = after[len(found) :]
    assert added
    assert (after[: len(found)], noted) == (found, [])
    assert {trial.arch for trial in added}.isdisjoint(trial.arch for trial in found)
    for trial in added:
        assert trial.metrics["latency_ms"] <= budget_ms
        assert "accuracy" in trial.metrics
    # One that nothing meets leaves what landed before.
    assert run(0.5 * FASTEST_MS, finish=True) == (after, [])


def test_what_lands_is_ranked_by_a_supernet_of_its_own(run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(stop_ranking=True)
    assert (tmp_path / "checkpoints" / "landed-0").is_dir()
    found, _ = run()
    archs = [SPACE.parse(trial.arch) for trial in found]
    scores = contest(supernet(SPACE), SPACE, archs, DATA.train, DATA.validation, RANKING, seed=0)
    assert len(archs) > 2
    assert [trial.metrics["loss"] for trial in found] == scores.loss.tolist()
    assert [trial.metrics["accuracy"] for trial in found] == scores.accuracy.tolist()
    assert not (tmp_path / "checkpoints" / "landed-0").exists()
    best = min(found, key=lambda trial: trial.metrics["loss"])
    assert choose_finalists(found, target_ms=TARGET_MS, count=1) == [best]


def test_nothing_to_end_with_is_a_users_error(run):
    with pytest.raises(UserError, match="has kept no step that it could end with"):
        run(finish=True)
