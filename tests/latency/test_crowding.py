import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.latency import crowding
from sparsenas.latency.crowding import Crowding
from sparsenas.latency.features import Core
from sparsenas.latency.layer_text import parse_layer
from sparsenas.latency.space_latency import SpaceLatency
from sparsenas.latency.tabulate import Tabulated

CORE = Core(lanes=16, widest=8, l1_bytes=1 << 15, l2_bytes=1 << 20)


def drawn(count, seed):
    """Returns sums of random networks: microseconds, bytes of weights and of activations."""
    return np.exp2(np.random.default_rng(seed).uniform((4, 14, 16), (14, 24, 24), size=(count, 3)))


def true_factor(sums):
    """More weights than the level 2 cache holds cost up to half as much again, sooner beside activations."""
    pushed_out = sums[:, 1] / (sums[:, 1] + 2 * CORE.l2_bytes)
    return 1 + 0.5 * pushed_out + 0.02 * np.log2(sums[:, 2] / CORE.l2_bytes + 1)


def some():
    """Returns a factor with a value of its own at every corner."""
    values = 1 + 0.3 * np.random.default_rng(3).random((21, 15, 11))
    return Crowding(np.array([4.0, -4.0, -3.0]), values, CORE)


def test_fit_finds_the_factor_of_networks_it_never_saw():
    known, unseen = drawn(150, 0), drawn(200, 1)
    us = known[:, 0] * true_factor(known) * np.exp(np.random.default_rng(2).normal(0, 0.01, len(known)))
    fitted = crowding.fit(known, us, np.full(len(us), 0.01), CORE)
    off = fitted(*unseen.T) / true_factor(unseen) - 1
    assert np.mean(np.abs(off)) < 0.01
    assert np.mean(np.abs(1 / true_factor(unseen) - 1)) > 0.1


def sums(octaves):
    """Returns the sums [3, 1] of a network that lies there."""
    return np.array([[2 ** octaves[0]], *((2 ** octaves[1:, None] - 0.05) * CORE.l2_bytes)])


def test_factor_is_linear_between_corners_and_constant_beyond():
    factor = some()
    corner = np.array([6.0, -1.0, 0.0])
    index = tuple(((corner - factor.lowest) * 2).astype(int))
    assert factor(*sums(corner))[0] == pytest.approx(factor.values[index])
    between = np.mean(
        [factor.values[tuple(np.add(index, step))] for step in itertools.product((0, 1), repeat=3)]
    )
    assert factor(*sums(corner + 0.25))[0] == pytest.approx(between)
    far, farther = (factor(*np.full((3, 1), size))[0] for size in (2.0**40, 2.0**50))
    assert far == farther == factor.values[-1, -1, -1]


def test_one_network_is_one_of_many():
    factor, networks = some(), drawn(50, 4)
    many = factor(*networks.T)
    assert [float(factor.at(*one)) for one in networks] == pytest.approx(many.tolist(), rel=1e-12)


def test_factor_has_a_gradient_in_jax():
    factor = some()
    at = jnp.array(drawn(1, 5)[0], jnp.float32)
    slopes = jax.jit(jax.grad(lambda sums: factor.at(*sums)))(at)
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = float(at[axis]) * 1e-3
        higher, lower = (float(factor.at(*(np.asarray(at, float) + sign * step))) for sign in (1, -1))
        assert float(slopes[axis]) == pytest.approx((higher - lower) / (2 * step[axis]), rel=0.02, abs=1e-9)


def test_nothing_is_crowded_where_no_network_was_measured():
    np.testing.assert_array_equal(crowding.none(CORE)(*drawn(20, 6).T), 1)


def test_bytes_of_a_layer():
    dense, sparse = (
        crowding.bytes_of(parse_layer(f"conv1x1 8x16@5{zeros}"), CORE) for zeros in ("", " sparsity=0.75")
    )
    assert dense == (4 * 8 * 16, 4 * 25 * (8 + 16))
    assert sparse == (8 * 32, dense[1])


def of_sums(seed):
    """Returns a space's latency whose sums are random arrays over three choices."""
    rng = np.random.default_rng(seed)
    scopes, sizes = ((0,), (1,), (0, 2), (1, 2)), (3, 4, 5)

    def table(least, most):
        return Tabulated(
            0.0, tuple((scope, rng.uniform(least, most, [sizes[c] for c in scope])) for scope in scopes)
        )

    return SpaceLatency(table(20, 100), table(1e5, 2e6), table(1e5, 2e6), some())


ARCHS = np.array(list(itertools.product(range(3), range(4), range(5))))


@pytest.mark.parametrize("seed", range(8))
def test_extremes_of_a_space(seed):
    latency = of_sums(seed)
    ms = latency(ARCHS)
    for (arch, found), best in ((latency.least(3), ms.min()), (latency.most(3), ms.max())):
        assert found == pytest.approx(latency([arch])[0])
        # The factor has a slope of its own at every corner here, far rougher than any that was fitted.
        assert found == pytest.approx(best, rel=0.03)


def test_extremes_are_exact_where_nothing_is_crowded():
    rough = of_sums(1)
    latency = SpaceLatency(rough.us, rough.weight_bytes, rough.activation_bytes, crowding.none(CORE))
    assert latency.least(3)[1] == pytest.approx(latency(ARCHS).min())
    assert latency.most(3)[1] == pytest.approx(latency(ARCHS).max())


def test_expectation_of_certain_choices_is_the_prediction():
    latency = of_sums(2)
    for arch in ARCHS[::7]:
        certain = [np.eye(size)[option] for size, option in zip((3, 4, 5), arch, strict=True)]
        assert float(latency.expected(certain)) == pytest.approx(latency([arch])[0])


def test_expectation_has_a_gradient_towards_what_is_faster():
    latency = of_sums(3)
    logits = [jnp.zeros(size) for size in (3, 4, 5)]
    expected = jax.jit(lambda logits: latency.expected([jax.nn.softmax(one) for one in logits]))
    before = float(expected(logits))
    assert latency(ARCHS).min() < before < latency(ARCHS).max()
    slopes = jax.grad(lambda logits: expected(logits))(logits)
    after = float(expected([one - 0.5 * slope / before for one, slope in zip(logits, slopes, strict=True)]))
    assert after < before
