import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.latency.tabulate import Tabulated


def random_table(seed: int, choices: int = 6, terms: int = 12) -> tuple[Tabulated, list[int]]:
    """Arrays over up to three of some choices each, one over none."""
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.integers(1, 5, size=choices)]
    found = [((), np.array(0.25))]
    for _ in range(terms):
        scope = tuple(sorted(rng.choice(choices, size=rng.integers(1, 4), replace=False).tolist()))
        found.append((scope, rng.uniform(size=[sizes[c] for c in scope])))
    return Tabulated(0.5, tuple(found)), sizes


def plain_sum(table: Tabulated, arch) -> float:
    return table.fixed + sum(float(ms[tuple(arch[c] for c in scope)]) for scope, ms in table.terms)


@pytest.mark.parametrize("seed", range(5))
def test_latency_is_the_sum_over_layers(seed):
    table, sizes = random_table(seed)
    everything = list(itertools.product(*map(range, sizes)))
    expected = [plain_sum(table, arch) for arch in everything]
    np.testing.assert_allclose(table(everything), expected, rtol=1e-12)
    np.testing.assert_allclose(table(np.array(everything, np.uint8)), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_least_is_the_minimum_over_all_architectures(seed):
    table, sizes = random_table(seed)
    arch, ms = table.least(len(sizes))
    assert ms == pytest.approx(table(list(itertools.product(*map(range, sizes)))).min())
    assert table([arch])[0] == pytest.approx(ms)


def test_expectation_is_the_mean_over_all_architectures():
    table, sizes = random_table(2)
    rng = np.random.default_rng(0)
    probabilities = [rng.dirichlet(np.ones(n)) for n in sizes]
    everything = list(itertools.product(*map(range, sizes)))
    chances = [np.prod([p[o] for p, o in zip(probabilities, arch, strict=True)]) for arch in everything]
    assert table.expected(probabilities) == pytest.approx(float(np.dot(chances, table(everything))))
    one_hot = [np.eye(n)[0] for n in sizes]
    assert table.expected(one_hot) == pytest.approx(table([[0] * len(sizes)])[0])


def test_expectation_has_gradients():
    table, sizes = random_table(4)
    uniform = [jnp.full(n, 1 / n, jnp.float32) for n in sizes]
    gradients = jax.grad(lambda p: table.expected(p).astype(jnp.float32))(uniform)
    # It is linear in each choice: a gradient is what an option takes with the others as they are.
    for choice, gradient in enumerate(gradients):
        for option in range(sizes[choice]):
            picked = [*uniform[:choice], jax.nn.one_hot(option, sizes[choice]), *uniform[choice + 1 :]]
            other = [*uniform[:choice], jnp.zeros(sizes[choice]), *uniform[choice + 1 :]]
            difference = float(table.expected(picked)) - float(table.expected(other))
            assert float(gradient[option]) == pytest.approx(difference, rel=1e-3, abs=1e-4)


def test_more_architectures_than_a_chunk():
    table, sizes = random_table(3)
    rng = np.random.default_rng(0)
    archs = np.stack([rng.integers(0, n, 20_001) for n in sizes], axis=1)
    some = [0, 8191, 8192, 16384, 20_000]
    np.testing.assert_allclose(
        table(archs)[some], [plain_sum(table, archs[i].tolist()) for i in some], rtol=1e-12
    )


def test_arrays_too_large_to_join_stay_apart():
    rng = np.random.default_rng(1)
    terms = [((i, i + 1), rng.uniform(size=(40, 40))) for i in range(6)]
    table = Tabulated(0.0, tuple(terms))
    archs = rng.integers(0, 40, size=(50, 7))
    np.testing.assert_allclose(table(archs), [plain_sum(table, arch.tolist()) for arch in archs], rtol=1e-12)


def test_no_choices_is_a_constant():
    table = Tabulated(1.5, (((), np.array(0.25)),))
    assert table([(), ()]).tolist() == [1.75, 1.75]
    assert table.least(0) == ((), 1.75)


def test_an_option_that_is_not_there_is_refused():
    table, sizes = random_table(0)
    for wrong in (sizes[0], -1):
        with pytest.raises(IndexError, match="option that its choice does not have"):
            table([[wrong, *[0] * (len(sizes) - 1)]])
