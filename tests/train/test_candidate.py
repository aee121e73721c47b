import jax
import numpy as np
import pytest

from sparsenas.bench.chaos_search import space as small_space
from sparsenas.data import load
from sparsenas.errors import UserError
from sparsenas.train import CandidateSettings, candidate_accuracy, train_candidate
from sparsenas.train import candidate as module

SPACE = small_space()
SETTINGS = CandidateSettings(steps=60, batch=32)


@pytest.fixture(scope="module")
def data():
    return load("digits", size=(8, 8), seed=0)


def trained(data, arch, **how):
    return train_candidate(SPACE, arch, data.train, how.pop("settings", SETTINGS), seed=1, **how)


def test_candidates_learn(data):
    settings = CandidateSettings(steps=400, batch=32)
    arch = SPACE.largest
    variables = trained(data, arch, settings=settings)
    assert candidate_accuracy(SPACE, arch, variables, data.validation, settings) > 0.5


def test_same_seed_gives_the_same_bits_and_one_compilation(data):
    one = trained(data, SPACE.largest)
    before = [bucket.steps._cache_size() for bucket in module._BUCKETS.values()]
    other = trained(data, SPACE.smallest)
    again = trained(data, SPACE.largest)
    assert [bucket.steps._cache_size() for bucket in module._BUCKETS.values()] == before
    assert all(
        np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(again), strict=True)
    )
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(other.params), strict=True)
    )


def test_batches_in_parts_are_nearly_the_same(data):
    """Each part is normalised by itself, so that it is not the same to the last bit."""
    whole, parts = (trained(data, SPACE.largest, parts=n) for n in (1, 2))
    first = whole.params["classifier"]["weight"]
    second = parts.params["classifier"]["weight"]
    assert not np.array_equal(first, second)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] > 0.9


def test_parts_must_share_a_batch(data):
    with pytest.raises(UserError, match="`batch` must be a multiple of the 3 parts"):
        trained(data, SPACE.largest, parts=3)


def test_higher_rungs_go_on(data):
    settings = CandidateSettings(steps=240, batch=32, rungs=2)
    low = trained(data, SPACE.largest, settings=settings, rung=0)
    high = trained(data, SPACE.largest, settings=settings, rung=1, start=low)
    before, after = (
        candidate_accuracy(SPACE, SPACE.largest, variables, data.validation, settings, rung=rung)
        for rung, variables in enumerate((low, high))
    )
    assert after > before


def test_rungs_share_out_the_steps():
    assert CandidateSettings(steps=160, rungs=3, reduction=4).steps_of_rungs == (10, 40, 160)
    assert CandidateSettings(steps=100, rungs=1).steps_of_rungs == (100,)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"rungs": 0}, "`rungs` must be at least 1"),
        ({"reduction": 1}, "`reduction` at least 2"),
        ({"steps": 10, "rungs": 3}, "10 steps are too few for 3 rungs"),
        ({"prune_begin": 0.7}, "`prune_begin` \\(0.7\\) and `prune_end`"),
    ],
)
def test_bad_settings_are_one_line(bad, says):
    with pytest.raises(UserError, match=says):
        CandidateSettings(**bad)


def test_zeros_come_gradually():
    """The choices move from the least sparse options to the network's own, and stay there."""
    arch = tuple(len(choice.options) - 1 for choice in SPACE.choices)
    draw = module._choices(SPACE, arch, SETTINGS, fades=True)
    steps = [draw(20) for _ in range(3)]
    zeros = np.concatenate([some[1] for some in steps])
    assert np.array_equal(zeros[0], [1, 0, 0, 0, 0])
    assert np.array_equal(zeros[-1], [0, 0, 0, 0, 1])
    assert np.all(np.diff(zeros[:, -1]) >= 0)
    assert np.allclose(zeros.sum(1), 1)
    widths = np.concatenate([some[0] for some in steps])
    assert np.array_equal(widths, np.tile([0, 0, 0, 1], (60, 1)))
