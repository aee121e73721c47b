"""The step of several networks against the sum of their losses."""

import jax
import numpy as np
import optax
import pytest

from sparsenas.builder import Builder
from sparsenas.supernet import batch_one_hot, one_hot, supernet
from sparsenas.train.sandwich import sandwich


def small_space():
    net = Builder("small", image=(6, 6, 3), classes=3)
    width = net.choice("width", (4, 8))
    x = net.conv_hwc("stem", net.image, width, stride=2, activation="relu6")
    x = net.optional(net.choice("depth", (0, 1)) >= 1, x, lambda x: net.conv1x1("mix", x, width))
    return net.classify(x)


SPACE = small_space()
NET = supernet(SPACE)
ARCHS = [SPACE.largest, SPACE.smallest, (1, 0)]


@pytest.mark.parametrize("distillation", [False, True])
def test_gradients_are_those_of_the_mean_loss(distillation):
    variables = NET.init(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    x, labels = rng.random((8, *SPACE.image), np.float32), np.arange(8, dtype=np.int32) % 3
    targets = optax.smooth_labels(jax.nn.one_hot(labels, 3), 0.1)

    def loss(params):
        used = variables._replace(params=params)
        logits = [NET.apply(used, x, one_hot(SPACE, arch), train=True)[0] for arch in ARCHS]
        taught = jax.lax.stop_gradient(jax.nn.softmax(logits[0])) if distillation else targets
        goals = [targets, taught, taught]
        losses = [
            optax.softmax_cross_entropy(found, goal).mean() for found, goal in zip(logits, goals, strict=True)
        ]
        return sum(losses) / 3

    passes = sandwich(NET, networks=3, classes=3, distillation=distillation, hard=True)

    @jax.jit
    def step(variables):
        def loss_of(outputs):
            return optax.softmax_cross_entropy(outputs, targets).mean()

        return passes(variables, x, batch_one_hot(SPACE, ARCHS), loss_of)

    found = step(variables)
    expected, gradients = jax.jit(jax.value_and_grad(loss))(variables.params)
    np.testing.assert_allclose(found.loss, expected, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found.gradients, gradients)


def test_statistics_and_outputs_are_those_of_the_largest():
    variables = NET.init(np.random.default_rng(0))
    x = np.random.default_rng(1).random((8, *SPACE.image), np.float32)
    outputs, stats = jax.jit(lambda: NET.apply(variables, x, one_hot(SPACE, SPACE.largest), train=True))()
    passes = sandwich(NET, networks=3, classes=3, distillation=True)
    found = jax.jit(lambda: passes(variables, x, batch_one_hot(SPACE, ARCHS), lambda y: y.mean()))()
    np.testing.assert_allclose(found.outputs, outputs, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found.stats, stats)
