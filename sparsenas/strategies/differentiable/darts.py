"""DARTS: gradient descent on mixtures of networks (Liu et al., 2019, https://arxiv.org/abs/1806.09055).

A mixture has the shares p = softmax(a). First order, the logits a follow the gradient of L_val(w, p), second
order that of

    L_val(w', p),    w' = w + update(grad_w L_train(w, p)),

after the step that the weights w would make next. The paper approximates its gradient by finite
differences; here it is exact, through all that the optimizer does: momentum, weight decay, clipping.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax

from sparsenas.strategies.differentiable.base import Differentiable, Logits, Mixture, Of, softmax

PyTree = Any


def darts(*, order: Literal[1, 2] = 1) -> Differentiable:
    """Trains and judges the mixture of all networks.

    Args:
        order: 2 looks one step of the weights ahead.
    """
    if order not in (1, 2):
        raise ValueError(f"`order` must be 1 or 2, found {order}.")

    def draw(logits: Logits, key: jax.Array, progress: jax.Array) -> Mixture:
        return softmax(logits)

    def gradient(loss: Of, latency: Of, logits: Logits, key: jax.Array, progress: jax.Array):
        return jax.value_and_grad(lambda logits: loss(softmax(logits)))(logits)

    return Differentiable(draw, gradient, unrolled=order == 2, betas=(0.5, 0.999), decay=1e-3)


def unrolled(
    training: Callable[[PyTree, Mixture], jax.Array],
    validation: Callable[[PyTree, Mixture], jax.Array],
    params: PyTree,
    step: Callable[[PyTree, PyTree], PyTree],
) -> Of:
    """Returns the validation loss of a mixture after the step that training on it would make.

    Args:
        training, validation: `(params, mixture) -> loss`.
        step: `(params, gradients) -> params`, all that the optimizer does.
    """

    def loss(mixture: Mixture) -> jax.Array:
        gradients = jax.grad(training)(params, mixture)
        return validation(step(params, gradients), mixture)

    return loss
