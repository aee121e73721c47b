import itertools

import numpy as np
import pytest

from sparsenas.__main__ import main
from sparsenas.bench import strategies as bench
from sparsenas.bench.pace import bench_pace
from sparsenas.bench.peers import pymoo_nsga2
from sparsenas.bench.strategies_picture import strategies_svg
from sparsenas.bench.tabular import write_table
from sparsenas.cli.lookup import find_space
from sparsenas.latency.tabulate import tabulate
from sparsenas.strategies.catalog import STRATEGIES
from sparsenas.strategies.random import random
from tests.strategies.spaces import grid

TABLE = grid(4, 4, 4)


def test_no_architecture_is_evaluated_twice_and_all_are_in_the_end():
    run = bench.play(TABLE, random(TABLE.space), seed=0, evaluations=(10, 40), noisy=False)
    assert len(run.rows) == len(set(run.rows.tolist())) == 40


def test_regret_is_that_of_the_best_that_was_seen():
    run = bench.play(TABLE, random(TABLE.space), seed=1, evaluations=(5, 20), noisy=False)
    for count in (5, 20):
        seen = TABLE.mean_accuracy[run.rows[:count]].max()
        assert bench.regret(TABLE, run, count) == pytest.approx(100 * (TABLE.mean_accuracy.max() - seen))


def test_noisy_regret_is_of_the_true_mean_of_what_looked_best():
    run = bench.play(TABLE, random(TABLE.space), seed=1, evaluations=(20,), noisy=True)
    seen = bench.seen_accuracy(TABLE, 1, True)
    assert all(seen[row] in TABLE.accuracy[row] for row in range(64))
    chosen = run.rows[np.argmax(seen[run.rows])]
    expected = 100 * (TABLE.mean_accuracy.max() - TABLE.mean_accuracy[chosen])
    assert bench.regret(TABLE, run, 20) == pytest.approx(expected)


def test_a_search_that_has_found_the_best_needs_nothing_more():
    run = bench.play(TABLE, random(TABLE.space), seed=0, evaluations=(64,), noisy=False, to_the_end=False)
    assert TABLE.mean_accuracy[run.rows].argmax() == len(run.rows) - 1
    assert bench.regret(TABLE, run, 64) == 0


def test_hypervolume_is_the_area_that_a_front_beats():
    """Counted on a fine grid of costs and accuracies."""
    rows = np.array([3, 20, 41, 60])
    cost, accuracy = TABLE.costs["latency_ms"], TABLE.mean_accuracy
    costs = np.linspace(cost.min(), cost.max(), 4001)[:-1]

    def area(rows):
        points = zip(cost[rows], accuracy[rows], strict=True)
        reached = np.max([np.where(costs >= c, a - accuracy.min(), 0.0) for c, a in points], axis=0)
        return reached.mean()

    expected = area(rows) / area(np.arange(64))
    assert bench.hypervolume(TABLE, rows) == pytest.approx(expected, abs=2e-3)
    assert bench.hypervolume(TABLE, np.arange(64)) == 1


def test_records_have_the_fields_that_are_promised():
    result = bench.bench_strategies(
        [TABLE], seeds=2, evaluations=(6, 12), only=("random", "nsga2"), noisy=True
    )
    assert result.keys() == {"machine", "version", "records"}
    shared = bench.bench_strategies(
        [TABLE], seeds=2, evaluations=(6, 12), only=("random", "nsga2"), noisy=True, workers=2
    )
    assert shared["records"] == result["records"]
    assert [(r["table"], r["strategy"], r["evaluations"]) for r in result["records"]] == list(
        itertools.product(("grid", "grid, one training"), ("random", "nsga2"), (6, 12))
    )
    for record in result["records"]:
        assert list(record) == [
            "table", "strategy", "evaluations", "seeds", "regret_mean", "regret_ci95", "hypervolume_mean",
        ]  # fmt: skip
        assert record["seeds"] == 2
        assert 0 < record["hypervolume_mean"] <= 1


def test_interval_is_that_of_the_mean_over_seeds():
    runs = [
        bench.play(TABLE, random(TABLE.space), seed=seed, evaluations=(5,), noisy=False) for seed in range(9)
    ]
    (record,) = bench._records(TABLE, "random", runs, (5,), False)
    regrets = [bench.regret(TABLE, run, 5) for run in runs]
    assert record["regret_mean"] == pytest.approx(np.mean(regrets))
    assert record["regret_ci95"] == pytest.approx(1.96 * np.std(regrets, ddof=1) / 3)


def test_a_table_without_costs_has_no_fronts():
    table = type(TABLE)(
        name="bare", choices=TABLE.choices, archs=TABLE.archs, accuracy=TABLE.accuracy, costs={}
    )
    result = bench.bench_strategies([table], seeds=1, evaluations=(4,), only=("random", "nsga2", "predictor"))
    assert [r["strategy"] for r in result["records"]] == ["random", "predictor"]
    assert all(r["hypervolume_mean"] is None for r in result["records"])


def test_pymoo_plays_by_the_same_rules():
    if not pymoo_nsga2.installed():
        pytest.skip("pymoo is not installed (make peers).")
    rows = pymoo_nsga2.play(TABLE, "latency_ms", TABLE.mean_accuracy, seed=0, evaluations=40)
    assert len(rows) == len(set(rows.tolist())) == 40
    again = pymoo_nsga2.play(TABLE, "latency_ms", TABLE.mean_accuracy, seed=0, evaluations=40)
    np.testing.assert_array_equal(rows, again)


def test_picture_names_every_strategy_and_table():
    result = bench.bench_strategies(
        [TABLE], seeds=2, evaluations=(4, 8), only=("random", "regularized_evolution")
    )
    svg = strategies_svg(result["records"])
    for part in ("random", "regularized_evolution", "grid", "2 seeds", ">8</text>"):
        assert part in svg
    assert "nan" not in svg


def test_command_writes_table_file_and_picture(tmp_path, capsys):
    write_table(TABLE, tmp_path / "grid.json")
    args = ["--table", str(tmp_path / "grid.json"), "--seeds", "2", "--evaluations", "4,8", "--workers", "1"]
    args += ["--strategy", "random", "nsga2", "--json", str(tmp_path / "out.json")]
    assert main(["bench", "strategies", *args, "--picture", str(tmp_path / "out.svg")]) == 0
    shown = capsys.readouterr().out
    assert "regret at 4" in shown
    assert "nsga2" in shown
    assert (tmp_path / "out.svg").read_text().startswith("<svg")
    assert '"regret_mean"' in (tmp_path / "out.json").read_text()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "--table FILE"),
        (["--table", "none.json"], "No such file"),
        (["--table", "none.json", "--seeds", "0"], "`--seeds` must be at least 1"),
        (["--table", "none.json", "--workers", "0"], "`--workers` must be at least 1"),
        (["--table", "none.json", "--evaluations", "0"], "`--evaluations` must be"),
        (["--table", "none.json", "--strategy", "luck"], "There are: random"),
    ],
)
def test_mistakes_are_one_line(args, said, capsys):
    assert main(["bench", "strategies", *args]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_pace_has_every_strategy_with_a_long_past():
    table = find_space("tiny")
    latency = tabulate(table, lambda layer: 1e-6 * layer.macs)
    found = bench_pace(table, latency, past=30, steps=3)
    assert [one["strategy"] for one in found["records"]] == list(STRATEGIES)
    for one in found["records"]:
        assert one["past"] == 30
        assert one["ask_and_tell_ms_of_95_percent"] >= one["ask_and_tell_ms"] > 0
    assert found["architectures_per_second"] > 0
