import json

import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.strategies.base import Result
from sparsenas.strategies.beliefs import Beliefs, beliefs_of, read_beliefs, replayed, write_beliefs
from sparsenas.strategies.predictor import predictor
from sparsenas.strategies.reinforce import reinforce
from tests.strategies.spaces import grid, play

SPACE = grid(3, 2).space


def score(arch):
    return float(arch[0])


def test_beliefs_survive_their_file(tmp_path):
    rows = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]), np.full((2, 2), 0.5)
    beliefs = beliefs_of(SPACE, (10, 20), rows, unit="steps")
    path = tmp_path / "beliefs.jsonl"
    write_beliefs(beliefs, path, strategy="gumbel", warnings=["collapsed"])
    found = read_beliefs(path)
    assert (found.choices, found.options, found.unit, found.at) == (
        beliefs.choices,
        beliefs.options,
        "steps",
        (10, 20),
    )
    for one, other in zip(found.probabilities, beliefs.probabilities, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(found.last[0], [0.1, 0.1, 0.8])
    # As docs/architecture.md says it.
    head, *lines = map(json.loads, path.read_text().splitlines())
    assert head == {
        "format": "sparsenas-beliefs-1",
        "strategy": "gumbel",
        "unit": "steps",
        "choices": [{"name": "c0", "options": [0, 1, 2]}, {"name": "c1", "options": [0, 1]}],
        "warnings": ["collapsed"],
    }
    assert lines[0] == {"at": 10, "probabilities": [[0.2, 0.3, 0.5], [0.5, 0.5]]}


def test_replayed_is_what_the_strategy_believed_at_the_time():
    strategy = reinforce(SPACE, trials=50)
    asked, last = play(strategy, 50, score)
    told = [(arch, Result(score(arch), {})) for arch in asked]
    found = replayed(SPACE, strategy, told, points=6)
    assert (found.unit, found.at) == ("trials", (0, 10, 20, 30, 40, 50))
    assert [part.shape for part in found.probabilities] == [(6, 3), (6, 2)]
    for part, expected in zip(found.probabilities, strategy.probabilities(last), strict=True):
        np.testing.assert_array_equal(part[-1], expected)
        np.testing.assert_allclose(part.sum(1), 1)
        np.testing.assert_allclose(part[0], 1 / part.shape[1])


def test_strategies_without_probabilities_have_no_beliefs():
    assert replayed(SPACE, predictor(SPACE), []) is None


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"must have shapes \[\(1, 2\)\], found \[\(1, 3\)\]"):
        Beliefs(choices=("a",), options=((0, 1),), unit="steps", at=(1,), probabilities=(np.zeros((1, 3)),))


HEAD = '{"format": "sparsenas-beliefs-1", "unit": "steps", "choices": [{"name": "a", "options": [1]}]}'


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"format": "2"}',
        HEAD + '\n{"at": 1}',
        HEAD + '\n{"at": 1, "probabilities": []}',
        HEAD + '\n{"at": 1, "probabilities": [[1, 2]]}',
    ],
)
def test_other_files_are_a_users_error(tmp_path, content):
    path = tmp_path / "beliefs.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match="Expected the beliefs of a search in .*beliefs.jsonl"):
        read_beliefs(path)
    with pytest.raises(UserError, match="Cannot read the beliefs"):
        read_beliefs(tmp_path / "none.jsonl")
