"""Tables of a grid and searches on them, from the command line."""

import dataclasses
import json

import numpy as np
import pytest

from sparsenas.__main__ import main
from sparsenas.bench.grid import GridSettings, all_networks, trained_table
from sparsenas.bench.tabular import read_table, write_table
from sparsenas.cli.lookup import find_space

SPACE = find_space("grid")
SETTINGS = GridSettings(images=300, seeds=1)


@pytest.fixture
def table():
    """Of made-up accuracies: what is dense and wide is better."""
    archs = all_networks(SPACE)
    accuracies = {arch: [0.5 + 0.04 * (arch[0] + arch[1]) - 0.02 * sum(arch[2:])] for arch in archs}
    return trained_table(SPACE, SETTINGS, accuracies)


def test_a_table_is_measured_and_searched(table, tmp_path, capsys):
    path, figures = tmp_path / "grid.json", tmp_path / "figures.json"
    write_table(table, path)
    assert main(["bench", "differentiable", "--table", str(path)]) == 2
    assert "has no latencies yet; measure them: sparsenas bench grid --measure" in capsys.readouterr().err
    assert main(["bench", "grid", "--measure", "--rounds", "1", "--out", str(path)]) == 0
    found = read_table(path)
    assert len(found.archs) == 576
    assert np.ptp(found.costs["latency_ms"]) > 0
    options = ["--strategy", "darts", "--targets", "1", "--steps", "20", "--ranking-steps", "20"]
    assert main(["bench", "differentiable", "--table", str(path), *options, "--json", str(figures)]) == 0
    (record,) = json.loads(figures.read_text())["records"]
    assert record["latency_ms"] <= record["target_ms"]
    assert record["best_accuracy"] >= record["accuracy"]
    assert "Regret in points" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["differentiable", "--strategy", "dart"],
            "No search named 'dart'. There are: darts, darts2",
        ),
        (["differentiable", "--targets", "0"], "`--targets` must be at least 1, found 0"),
        (["grid", "--seeds", "0"], "`seeds` must be at least 1, found 0"),
        (["grid", "--rounds", "0"], "`--rounds` must be at least 1, found 0"),
        (["grid", "--measure", "--out", "none.json"], "Cannot read the table 'none.json'"),
    ],
)
def test_wrong_options_are_one_line(args, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *args]) == 2
    assert message in capsys.readouterr().err


def test_tables_of_another_space_are_refused(table, tmp_path, capsys):
    path = tmp_path / "grid.json"
    write_table(dataclasses.replace(table, how={**table.how, "space": "other"}), path)
    assert main(["bench", "grid", "--measure", "--out", str(path)]) == 2
    assert "of another space than 'grid'" in capsys.readouterr().err
