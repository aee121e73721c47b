"""The loop that all training shares.

Several steps run in one call of the device: a call allocates its memory afresh, which for a network of
this kind costs as much as a step. Batches, shifts and architectures are drawn with numpy from the seed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.supernet import Choices
from sparsenas.train.batches import Batch, augmented, batches_of, to_float

if TYPE_CHECKING:
    from sparsenas.data import Split

PyTree = Any

Report = Callable[[int, int, dict[str, float]], None]
"""`(steps done, steps in all, metrics)`, now and then during training."""


class Passed(NamedTuple):
    """What the passes of one step leave.

    Attributes:
        loss: scalar.
        gradients: like the parameters.
        stats: of normalisation, of the images of this step.
        outputs: [N, classes].
    """

    loss: jax.Array
    gradients: PyTree
    stats: PyTree
    outputs: jax.Array


Passes = Callable[[Variables, jax.Array, Choices, Callable[[jax.Array], jax.Array]], Passed]
"""`(variables, x, choices, loss_of) -> passed`; x is float32 [N, H, W, C], `loss_of(outputs)` a scalar."""

# Of the running mean and variance of normalisation: what one batch moves them.
_STATS_RATE = 0.1


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """What all training has in common.

    Attributes:
        steps: how many batches.
        batch: images of a batch.
        learning_rate: the highest; rises over the `warmup` part of all steps and falls along a cosine.
        warmup: part of the steps.
        weight_decay: of weights, not of biases and normalisation.
        label_smoothing: part of the label that is spread over all classes.
        shift: images are moved at random by up to so many pixels.
        flip: images are mirrored at random.
    """

    steps: int = 300
    batch: int = 64
    learning_rate: float = 2e-2
    warmup: float = 0.1
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    shift: int = 2
    flip: bool = False


class _State(NamedTuple):
    params: PyTree
    stats: PyTree
    optimizer: optax.OptState


def run(
    net: PureModule,
    variables: Variables,
    optimizer: optax.GradientTransformation,
    split: "Split",
    settings: LoopSettings,
    *,
    rng: np.random.Generator,
    steps_per_call: int,
    draw: Callable[[int], Choices],
    between: Callable[[Variables], Variables],
    report: Report | None,
    passes: Passes | None = None,
    placement: jax.sharding.Sharding | None = None,
) -> Variables:
    """Runs all steps.

    Args:
        draw: gives the choices of so many steps, [steps, options] each, or as `passes` takes them.
        between: changes the variables after each call of the device.
        passes: computes what a step learns from; `one_pass` of `net` where left out.
        placement: of images, labels and variables; the default device where left out.
    """
    passes = passes or one_pass(net)
    images, labels = jax.device_put((split.images, split.labels), placement)
    state = _State(variables.params, variables.stats, optimizer.init(variables.params))
    state = jax.device_put(state, placement)
    batches = batches_of(
        len(split.images), batch=settings.batch, shift=settings.shift, flip=settings.flip, rng=rng
    )

    @jax.jit
    def steps_of(state: _State, ranks: PyTree, batches: "Batch", choices: Choices, steps: jax.Array):
        # Steps are counted at run time, so that a shorter last call needs no compilation of its own.
        def step(i: int, carry: tuple) -> tuple:
            state, losses, correct = carry
            batch, options = jax.tree.map(lambda a: a[i], (batches, choices))
            used = variables._replace(params=state.params, stats=state.stats, ranks=ranks)
            wanted = labels[batch.indices]
            loss_of = partial(_cross_entropy, labels=wanted, smoothing=settings.label_smoothing)
            found = passes(used, to_float(augmented(images, batch)), options, loss_of)
            right = (found.outputs.argmax(-1) == wanted).mean()
            updates, moments = optimizer.update(found.gradients, state.optimizer, state.params)
            stats = optax.incremental_update(found.stats, state.stats, _STATS_RATE)
            state = _State(optax.apply_updates(state.params, updates), stats, moments)
            return state, losses.at[i].set(found.loss), correct.at[i].set(right)

        zeros = jnp.zeros(steps_per_call)
        return lax.fori_loop(0, steps, step, (state, zeros, zeros))

    for done in range(0, settings.steps, steps_per_call):
        steps = min(steps_per_call, settings.steps - done)
        some = jax.tree.map(lambda *a: np.stack(a), *(next(batches) for _ in range(steps_per_call)))
        state, losses, correct = steps_of(state, variables.ranks, some, draw(steps_per_call), np.int32(steps))
        _check_losses(np.asarray(losses)[:steps], done, settings)
        variables = between(variables._replace(params=state.params, stats=state.stats))
        if report is not None:
            metrics = {
                "loss": float(losses[:steps].mean()),
                "accuracy": float(correct[:steps].mean()),
                "learning_rate": float(_learning_rate(settings)(done + steps - 1)),
            }
            report(done + steps, settings.steps, metrics)
    return jax.device_get(variables)


def one_pass(net: PureModule, **settings: Any) -> Passes:
    """Returns how a step learns from one network.

    Args:
        settings: of `net.apply` beside `train`.
    """

    def passes(
        variables: Variables, x: jax.Array, choices: Choices, loss_of: Callable[[jax.Array], jax.Array]
    ) -> Passed:
        def loss(params: PyTree) -> tuple[jax.Array, tuple[PyTree, jax.Array]]:
            used = variables._replace(params=params)
            outputs, stats = net.apply(used, x, choices, train=True, **settings)
            return loss_of(outputs), (stats, outputs)

        (value, (stats, outputs)), gradients = jax.value_and_grad(loss, has_aux=True)(variables.params)
        return Passed(value, gradients, stats, outputs)

    return passes


def _cross_entropy(outputs: jax.Array, *, labels: jax.Array, smoothing: float) -> jax.Array:
    targets = optax.smooth_labels(jax.nn.one_hot(labels, outputs.shape[-1]), smoothing)
    return optax.softmax_cross_entropy(outputs, targets).mean()


def _check_losses(losses: np.ndarray, done: int, settings: LoopSettings) -> None:
    if np.isfinite(losses).all():
        return
    step = done + int(np.argmin(np.isfinite(losses)))
    rate = float(_learning_rate(settings)(step))
    raise UserError(
        f"Training diverged: the loss of step {step} is not finite, at learning rate {rate:.3g}; "
        f"try a lower `learning_rate` than {settings.learning_rate:g}."
    )


def _learning_rate(settings: LoopSettings) -> optax.Schedule:
    warmup = round(settings.warmup * settings.steps)
    return optax.warmup_cosine_decay_schedule(0, settings.learning_rate, warmup, settings.steps)


def adamw(settings: LoopSettings) -> optax.GradientTransformation:
    """Returns the optimizer of all training (Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101)."""
    return optax.adamw(
        _learning_rate(settings),
        weight_decay=settings.weight_decay,
        mask=lambda params: jax.tree.map(lambda w: w.ndim > 1, params),
    )
