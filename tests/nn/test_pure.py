"""NNX modules as pure functions."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sparsenas.nn.pure import ArchParam, Rank, pure


class Net(nnx.Module):
    def __init__(self, rng):
        self.weight = nnx.Param(rng.normal(size=3).astype(np.float32))
        self.logits = ArchParam(np.zeros(2, np.float32))
        self.seen = nnx.BatchStat(np.zeros((), np.float32))
        self.rank = Rank(np.zeros(3, np.float32))

    def __call__(self, x, *, train):
        if train:
            self.seen[...] = self.seen[...] + 1
        return self.weight[...] * x * jax.nn.softmax(self.logits[...])[0]


def test_init_splits_variables_by_who_updates_them():
    variables = pure(Net).init(np.random.default_rng(0))
    assert [list(part) for part in variables] == [["weight"], ["logits"], ["seen"], ["rank"]]


def test_init_is_decided_by_the_generator():
    net = pure(Net)
    one, same, other = (net.init(np.random.default_rng(seed)).params["weight"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_apply_returns_the_new_statistics_and_changes_nothing():
    net = pure(Net)
    variables = net.init(np.random.default_rng(0))
    _, stats = jax.jit(lambda v: net.apply(v, 2.0, train=True))(variables)
    assert stats["seen"] == 1
    assert variables.stats["seen"] == 0
    _, stats = net.apply(variables, 2.0, train=False)
    assert stats["seen"] == 0


def test_apply_can_be_differentiated_and_vmapped():
    net = pure(Net)
    variables = net.init(np.random.default_rng(0))
    variables = variables._replace(params={"weight": jnp.array([1.0, 2.0, 3.0])})

    def total(params, x):
        return net.apply(variables._replace(params=params), x, train=True)[0].sum()

    gradients = jax.vmap(jax.grad(total), (None, 0))(variables.params, jnp.array([2.0, 4.0]))
    np.testing.assert_allclose(gradients["weight"], [[1, 1, 1], [2, 2, 2]])
