"""Several networks of a supernet learn from the same images in one step.

The sandwich rule (Yu and Huang, 2019, https://arxiv.org/abs/1903.05134) trains the largest network, the
smallest and random ones. In-place distillation (same paper) lets all but the largest learn its outputs
instead of the labels.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from sparsenas.nn.pure import PureModule, Variables
from sparsenas.supernet import Choices
from sparsenas.train.loop import Passed, Passes

PyTree = Any


def sandwich(
    net: PureModule,
    *,
    networks: int,
    classes: int,
    label_smoothing: float,
    distillation: bool,
    **settings: Any,
) -> Passes:
    """Returns the mean loss of several networks of a supernet, and what comes with it.

    Their choices are [networks, options], the largest network first; statistics and the part of images that
    are correct are its own. One runs after the other, in the memory of one.

    Args:
        distillation: whether the others learn from the largest.
        settings: of `net.apply` beside `train`.
    """

    def passes(variables: Variables, x: jax.Array, labels: jax.Array, choices: Choices) -> Passed:
        targets = optax.smooth_labels(jax.nn.one_hot(labels, classes), label_smoothing)

        def add(i: int, carry: tuple[Passed, jax.Array]) -> tuple[Passed, jax.Array]:
            total, goal = carry

            def loss(params: PyTree) -> tuple[jax.Array, tuple[PyTree, jax.Array]]:
                used = variables._replace(params=params)
                options = tuple(options[i] for options in choices)
                logits, stats = net.apply(used, x, options, train=True, **settings)
                return optax.softmax_cross_entropy(logits, goal).mean(), (stats, logits)

            (value, (stats, logits)), gradients = jax.value_and_grad(loss, has_aux=True)(variables.params)

            def of_largest(now: PyTree, before: PyTree) -> PyTree:
                return jax.tree.map(lambda a, b: jnp.where(i == 0, a, b), now, before)

            total = Passed(
                loss=total.loss + value / networks,
                gradients=jax.tree.map(lambda a, b: a + b / networks, total.gradients, gradients),
                stats=of_largest(stats, total.stats),
                correct=of_largest((logits.argmax(-1) == labels).mean(), total.correct),
            )
            return total, of_largest(jax.nn.softmax(logits), goal) if distillation else goal

        nothing = Passed(
            loss=jnp.float32(0),
            gradients=jax.tree.map(jnp.zeros_like, variables.params),
            stats=variables.stats,
            correct=jnp.float32(0),
        )
        return lax.fori_loop(0, networks, add, (nothing, targets))[0]

    return passes
