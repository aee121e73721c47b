"""What training makes small: a loss of the outputs, and of what a teacher says to the same images."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule, Variables

PyTree = Any


class Loss(NamedTuple):
    """A loss with the arrays it needs, which are arguments of the compiled step and no constants in it.

    Attributes:
        arrays: any tree.
        value: `(arrays, x, logits, targets) -> scalar`, of images float32 [N, H, W, C] in [0, 1], outputs
            and targets [N, classes], each target a distribution.
    """

    arrays: PyTree
    value: Callable[[PyTree, jax.Array, jax.Array, jax.Array], jax.Array]


def cross_entropy() -> Loss:
    """-mean_n sum_c target[n, c] * log softmax(logits)[n, c]."""
    return Loss((), lambda _, x, logits, targets: optax.softmax_cross_entropy(logits, targets).mean())


def distillation(
    teacher: PureModule, variables: Variables, *, weight: float = 0.5, temperature: float = 4.0
) -> Loss:
    """The student also learns what the teacher answers (Hinton et al., 2015, https://arxiv.org/abs/1503.02531).

        (1 - weight) * cross entropy + weight * T^2 * KL(softmax(teacher / T) | softmax(student / T))

    Args:
        teacher: a network without choices, and its variables.
        weight: of the teacher's word.
        temperature: T; the higher, the more wrong classes count.

    Raises:
        UserError: for a weight or a temperature that means nothing.
    """
    if not 0 <= weight <= 1:
        raise UserError(f"`weight` of the teacher must be from 0 to 1, found {weight}.")
    if not temperature > 0:
        raise UserError(f"`temperature` must be above 0, found {temperature}.")
    plain = cross_entropy()

    def value(arrays: PyTree, x: jax.Array, logits: jax.Array, targets: jax.Array) -> jax.Array:
        answers, _ = teacher.apply(arrays, x, (), train=False)
        return (1 - weight) * plain.value((), x, logits, targets) + weight * divergence(
            answers, logits, temperature
        )

    return Loss(variables, value)


def divergence(teacher: jax.Array, student: jax.Array, temperature: float) -> jax.Array:
    """Returns T^2 * KL(softmax(teacher / T) | softmax(student / T)), the mean over outputs [N, classes]."""
    expected = jax.nn.log_softmax(teacher / temperature)
    found = jax.nn.log_softmax(student / temperature)
    return temperature**2 * jnp.sum(jnp.exp(expected) * (expected - found), axis=-1).mean()
