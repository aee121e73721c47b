"""Several networks of a supernet learn from the same images in one step.

The sandwich rule (Yu and Huang, 2019, https://arxiv.org/abs/1903.05134) trains the largest network, the
smallest and random ones. In-place distillation (same paper) lets all but the largest learn its outputs
instead of the labels.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from sparsenas.nn.pure import PureModule, Variables
from sparsenas.supernet import Choices
from sparsenas.train.loop import Passed, Passes

PyTree = Any


def sandwich(net: PureModule, *, networks: int, classes: int, distillation: bool, **settings: Any) -> Passes:
    """Returns how a step learns from several networks of a supernet, by the mean of their losses.

    Their choices are [networks, options], the largest network first; statistics and outputs are its own. One
    runs after the other, in the memory of one.

    Args:
        distillation: whether the others learn from the largest.
        settings: of `net.apply` beside `train`.
    """

    def passes(
        variables: Variables, x: jax.Array, choices: Choices, loss_of: Callable[[jax.Array], jax.Array]
    ) -> Passed:
        def add(i: int, total: Passed) -> Passed:
            def loss(params: PyTree) -> tuple[jax.Array, tuple[PyTree, jax.Array]]:
                used = variables._replace(params=params)
                options = tuple(jnp.asarray(options)[i] for options in choices)
                outputs, stats = net.apply(used, x, options, train=True, **settings)
                value = loss_of(outputs)
                if distillation:
                    taught = optax.softmax_cross_entropy(outputs, jax.nn.softmax(total.outputs)).mean()
                    value = jnp.where(i == 0, value, taught)
                return value, (stats, outputs)

            (value, (stats, outputs)), gradients = jax.value_and_grad(loss, has_aux=True)(variables.params)
            stats, outputs = jax.tree.map(
                lambda now, before: jnp.where(i == 0, now, before),
                (stats, outputs),
                (total.stats, total.outputs),
            )
            gradients = jax.tree.map(lambda a, b: a + b / networks, total.gradients, gradients)
            return Passed(total.loss + value / networks, gradients, stats, outputs)

        nothing = Passed(
            loss=jnp.float32(0),
            gradients=jax.tree.map(jnp.zeros_like, variables.params),
            stats=variables.stats,
            outputs=jnp.zeros((len(x), classes)),
        )
        return lax.fori_loop(0, networks, add, nothing)

    return passes
