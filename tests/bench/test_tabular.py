import itertools
import json

import numpy as np
import pytest

from sparsenas.bench.tabular import Table, read_table, write_table
from sparsenas.errors import UserError
from sparsenas.space import Choice
from sparsenas.sparsity.patterns import DENSE, Sparse

CHOICES = (Choice("width", (8, 16, 24)), Choice("zeros", (DENSE, Sparse(0.9))))
ARCHS = tuple(itertools.product(range(3), range(2)))[::-1]


def made_up(**changes):
    """A table whose architectures are not in the usual order."""
    numbers = np.arange(6.0)
    fields = {
        "name": "made-up",
        "choices": CHOICES,
        "archs": ARCHS,
        "accuracy": np.stack([0.5 + numbers / 100, 0.52 + numbers / 100], 1),
        "costs": {"latency_ms": 0.1 + numbers, "macs": 1000 * numbers},
        "device": "toaster",
        "how": {"steps": 10},
    }
    return Table(**{**fields, **changes})


def test_table_survives_its_file(tmp_path):
    table = made_up()
    write_table(table, tmp_path / "table.json")
    found = read_table(tmp_path / "table.json")
    assert (found.name, found.device, found.how, found.archs) == ("made-up", "toaster", {"steps": 10}, ARCHS)
    np.testing.assert_allclose(found.accuracy, table.accuracy)
    for name, values in table.costs.items():
        np.testing.assert_allclose(found.costs[name], values)
    assert [choice.options for choice in found.choices] == [
        ("8", "16", "24"),
        ("dense", "unstructured 0.9"),
    ]


def test_costs_are_found_whatever_the_order():
    table = made_up()
    for row, arch in enumerate(ARCHS):
        assert table.rows([arch]).tolist() == [row]
    assert table.cost("macs", [(2, 1), (0, 0)]).tolist() == [0, 5000]


def test_every_choice_of_a_table_matters():
    space = made_up().space
    assert space.used_choices((2, 1)) == [0, 1]
    assert space.canonical((2, 1)) == (2, 1)
    assert space.size == 6


def test_format_of_nas_bench_macro_is_read(tmp_path):
    records = {
        f"{a}{b}": {"test_acc": [90.0 + a, 91.0 + b], "flops": 10 * a + b, "params": a, "mean_acc": 0}
        for a, b in itertools.product(range(3), range(2))
    }
    (tmp_path / "macro.json").write_text(json.dumps(records))
    table = read_table(tmp_path / "macro.json")
    assert table.name == "macro"
    row = table.rows([(2, 1)])[0]
    assert table.accuracy[row].tolist() == [0.92, 0.92]
    assert table.costs["macs"][row] == 21


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"archs": ARCHS[:-1], "accuracy": np.full((5, 2), 0.5), "costs": {}}, "each of the 6 architectures"),
        ({"archs": (*ARCHS[:-1], ARCHS[0])}, "found 6 records of 5 architectures"),
        ({"accuracy": np.full((6, 2), 50.0)}, "fractions from 0 to 1"),
        ({"accuracy": np.full((6, 0), 0.5)}, "at least one"),
        ({"costs": {"macs": np.full(6, np.nan)}}, "one finite `macs`"),
        ({"choices": ()}, "no choices"),
    ],
)
def test_incomplete_tables_are_refused(changes, said):
    with pytest.raises(UserError, match=said):
        made_up(**changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "found list"),
        ("{", "in JSON"),
        ('{"records": [], "format": "other"}', "this version reads 'sparsenas-table-1'"),
        ('{"records": [], "format": "sparsenas-table-1"}', "nothing named"),
        ('{"ab": {"test_acc": [90.0]}}', "invalid literal"),
        ('{"0": {"test_acc": [90.0], "params": 1}}', "nothing named 'flops'"),
    ],
)
def test_files_that_are_no_tables_are_one_line(tmp_path, text, said):
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(UserError, match=said) as error:
        read_table(tmp_path / "table.json")
    assert "\n" not in str(error.value)


def test_missing_table_is_said(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_table(tmp_path / "none.json")
