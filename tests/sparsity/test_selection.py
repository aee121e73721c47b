"""The largest without sorting, against sorting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.sparsity.selection import largest


@pytest.mark.parametrize("kind", ["normal", "positive", "few values", "tiny and huge", "zeros of both signs"])
def test_it_is_what_a_stable_sort_keeps(kind):
    rng = np.random.default_rng(0)
    scores = {
        "normal": rng.normal(size=(9, 13)),
        "positive": rng.random((9, 13)),
        "few values": rng.integers(-2, 3, (9, 13)),
        "tiny and huge": rng.normal(size=(9, 13)) * 10.0 ** rng.integers(-30, 30, (9, 13)),
        "zeros of both signs": np.where(rng.random((9, 13)) < 0.5, -0.0, 0.0),
    }[kind].astype(np.float32)
    order = np.argsort(scores.ravel(), kind="stable")
    for count in (0, 1, 50, 116, 117):
        expected = np.ones(scores.size, bool)
        expected[order[:count]] = False
        (found,) = jax.jit(largest)([jnp.asarray(scores)], [jnp.int32(count)])
        np.testing.assert_array_equal(np.asarray(found).ravel(), expected)


def test_arrays_are_searched_at_once_and_apart():
    rng = np.random.default_rng(1)
    scores = [rng.normal(size=shape).astype(np.float32) for shape in [(3,), (4, 5), (0, 7)]]
    found = largest([jnp.asarray(s) for s in scores], [jnp.int32(k) for k in (1, 15, 0)])
    assert [int(f.sum()) for f in found] == [2, 5, 0]
    assert scores[0].argmin() == np.flatnonzero(~np.asarray(found[0]))
