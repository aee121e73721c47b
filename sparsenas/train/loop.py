"""The loop that all training shares.

Several steps run in one call of the device: a call allocates its memory afresh, which for a network of
this kind costs as much as a step. Batches, shifts and architectures are drawn with numpy from the seed, the
same for the same step, so that training which was stopped goes on as if it had not been.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.supernet import Choices
from sparsenas.train.averaging import averaged
from sparsenas.train.batches import Batch, augmented, batches_of, mixed, to_float
from sparsenas.train.keeping import Keeper
from sparsenas.train.losses import Loss, cross_entropy

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

STATS_RATE = 0.1
"""Of the running mean and variance of normalisation: what one batch moves them."""


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
        crop: random parts of images are shown instead of moved images, of at least this part of the area,
            such as 0.08 (Szegedy et al., 2015); none if left out.
        mixup: images and labels are mixed in pairs, by shares from Beta(mixup, mixup); 0 mixes nothing.
        clip: highest norm of all gradients together; none if left out.
        ema: decay of the weights' moving average, such as 0.999, which is the result then; 0 for none.
    """

    steps: int = 300
    batch: int = 64
    learning_rate: float = 2e-2
    warmup: float = 0.1
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    shift: int = 2
    flip: bool = False
    crop: float | None = None
    mixup: float = 0.0
    clip: float | None = None
    ema: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise UserError(f"`{name}` must be at least 1, found {getattr(self, name)}.")
        for name in ("warmup", "label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"`{name}` must be at least 0 and below 1, found {getattr(self, name)}.")
        for name in ("shift", "mixup", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise UserError(f"`{name}` must be at least 0, found {getattr(self, name)}.")
        if self.crop is not None and not 0 < self.crop <= 1:
            raise UserError(
                f"`crop` must be above 0 and at most 1, found {self.crop}; leave it out for none."
            )
        if not self.learning_rate > 0:
            raise UserError(f"`learning_rate` must be above 0, found {self.learning_rate}.")
        if self.clip is not None and not self.clip > 0:
            raise UserError(f"`clip` must be above 0, found {self.clip}; leave it out to clip nothing.")


class _State(NamedTuple):
    """All that a step changes.

    Attributes:
        step: scalar, steps done.
        average: of params and stats; () where none is asked for.
    """

    step: jax.Array
    params: PyTree
    stats: PyTree
    optimizer: optax.OptState
    average: PyTree


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
    between: Callable[[Variables, int], Variables],
    report: Report | None,
    loss: Loss | None = None,
    keeper: Keeper | None = None,
    passes: Passes | None = None,
    placement: jax.sharding.Sharding | None = None,
    compiled: Callable | None = None,
) -> Variables:
    """Runs all steps.

    Args:
        draw: gives the choices of so many steps, [steps, options] each, or as `passes` takes them.
        between: changes the variables after each call of the device; told how many steps are done.
        loss: of the outputs; cross entropy if left out.
        keeper: keeps the state on disk; what it has from an earlier start is not done again.
        passes: computes what a step learns from; `one_pass` of `net` if left out.
        placement: of images, labels and all that training changes; the default device if left out.
        compiled: what `compiled_steps` gave for a training that differs in its seed and choices alone.

    Raises:
        UserError: when the loss is no longer finite.
    """
    loss, passes = loss or cross_entropy(), passes or one_pass(net)
    average = (variables.params, variables.stats) if settings.ema else ()
    state = _State(np.int32(0), variables.params, variables.stats, optimizer.init(variables.params), average)
    done = 0
    if keeper is not None and (found := keeper.load(_kept(state, variables))) is not None:
        done, kept = found
        state = kept["state"]
        variables = Variables(state.params, kept["arch"], state.stats, kept["ranks"])
    state = jax.device_put(state, placement)
    # Arguments of the compiled function: as constants inside it they would be compiled with it.
    fixed = jax.device_put((split.images, split.labels, loss.arrays), placement)

    steps_of = compiled or compiled_steps(optimizer, passes, loss, settings, steps_per_call=steps_per_call)
    batches = batches_of(
        len(split.images),
        batch=settings.batch,
        shift=settings.shift,
        flip=settings.flip,
        crop=settings.crop,
        mixup=settings.mixup,
        rng=rng,
    )
    drawn = _drawn(batches, draw, steps_per_call)
    for _ in range(0, done, steps_per_call):
        next(drawn)
    try:
        while done < settings.steps:
            steps = min(steps_per_call, settings.steps - done)
            moved, losses, correct = steps_of(
                state, variables.arch, variables.ranks, fixed, *next(drawn), np.int32(steps)
            )
            check_losses(
                np.asarray(losses)[:steps],
                done,
                rate=_learning_rate(settings),
                highest=settings.learning_rate,
                keeper=keeper,
            )
            changed = between(variables._replace(params=moved.params, stats=moved.stats), done + steps)
            # At once, so that what is kept after Ctrl-C belongs together.
            done, state, variables = done + steps, moved, changed
            if keeper is not None and (keeper.is_due(done) or done == settings.steps):
                keeper.save(done, _kept(state, variables))
            if report is not None:
                metrics = {
                    "loss": float(losses[:steps].mean()),
                    "accuracy": float(correct[:steps].mean()),
                    "learning_rate": float(_learning_rate(settings)(done - 1)),
                }
                report(done, settings.steps, metrics)
    except KeyboardInterrupt:
        if keeper is not None and done:
            keeper.save(done, _kept(state, variables))
        raise
    if settings.ema:
        params, stats = state.average
        variables = between(variables._replace(params=params, stats=stats), done)
    return jax.device_get(variables)


def compiled_steps(
    optimizer: optax.GradientTransformation,
    passes: Passes,
    loss: Loss,
    settings: LoopSettings,
    *,
    steps_per_call: int,
    parts: int = 1,
) -> Callable:
    """Returns the function of several steps that `run` calls; compiled once for all that use it.

    Args:
        parts: in how many parts a batch is computed, one after the other, for less memory. Gradients and
            statistics are the mean over them.
    """

    def learn(used: Variables, fixed: tuple, batch: Batch, choices: Choices) -> tuple[Passed, jax.Array]:
        images, labels, arrays = fixed
        x, wanted = to_float(augmented(images, batch)), labels[batch.indices]
        x = mixed(x, batch) if settings.mixup else x

        def learn_part(x: jax.Array, targets: jax.Array | None) -> Passed:
            def loss_of(outputs: jax.Array) -> jax.Array:
                aims = targets
                if aims is None:
                    aims = jax.nn.one_hot(wanted, outputs.shape[-1])
                    aims = mixed(aims, batch) if settings.mixup else aims
                return loss.value(arrays, x, outputs, optax.smooth_labels(aims, settings.label_smoothing))

            return passes(used, x, choices, loss_of)

        if parts == 1:
            passed = learn_part(x, None)
        else:
            classes = jax.eval_shape(lambda x: learn_part(x, None).outputs, x).shape[-1]
            targets = jax.nn.one_hot(wanted, classes)
            targets = mixed(targets, batch) if settings.mixup else targets
            some = lax.map(
                lambda part: learn_part(*part),
                jax.tree.map(lambda a: a.reshape(parts, -1, *a.shape[1:]), (x, targets)),
            )
            mean = jax.tree.map(lambda a: a.mean(0), some._replace(outputs=()))
            passed = mean._replace(outputs=some.outputs.reshape(len(wanted), -1))
        return passed, (passed.outputs.argmax(-1) == wanted).mean()

    @jax.jit
    def steps_of(
        state: _State,
        arch: PyTree,
        ranks: PyTree,
        fixed: tuple,
        batches: Batch,
        choices: Choices,
        steps: jax.Array,
    ):
        # Steps are counted at run time, so that a shorter last call needs no compilation of its own.
        def step(i: int, carry: tuple) -> tuple:
            state, losses, correct = carry
            batch, options = jax.tree.map(lambda a: a[i], (batches, choices))
            used = Variables(state.params, arch, state.stats, ranks)
            passed, right = learn(used, fixed, batch, options)
            updates, moments = optimizer.update(passed.gradients, state.optimizer, state.params)
            params = optax.apply_updates(state.params, updates)
            stats = optax.incremental_update(passed.stats, state.stats, STATS_RATE)
            average = state.average
            if settings.ema:
                average = averaged(average, (params, stats), state.step, decay=settings.ema)
            state = _State(state.step + 1, params, stats, moments, average)
            return state, losses.at[i].set(passed.loss), correct.at[i].set(right)

        zeros = jnp.zeros(steps_per_call)
        return lax.fori_loop(0, steps, step, (state, zeros, zeros))

    return steps_of


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


def _drawn(
    batches: Iterator[Batch], draw: Callable[[int], Choices], steps: int
) -> Iterator[tuple[Batch, Choices]]:
    """Yields the batches and choices of one call of the device after the other."""
    while True:
        some = [next(batches) for _ in range(steps)]
        yield jax.tree.map(lambda *a: np.stack(a), *some), draw(steps)


def _kept(state: _State, variables: Variables) -> PyTree:
    """Returns all that training needs to go on."""
    return {"state": state, "arch": variables.arch, "ranks": variables.ranks}


def check_losses(
    losses: np.ndarray, done: int, *, rate: optax.Schedule, highest: float, keeper: Keeper | None
) -> None:
    """Raises `UserError` where training has diverged.

    Args:
        losses: of the steps after the first `done` ones.
        rate: the learning rate of a step; `highest` of all.
    """
    if np.isfinite(losses).all():
        return
    step = done + int(np.argmin(np.isfinite(losses)))
    last = keeper.last if keeper is not None else None
    kept = "" if last is None else f" The last good state, after {last} steps, is in {str(keeper.folder)!r}."
    raise UserError(
        f"Training diverged: the loss of step {step} is not finite, at learning rate "
        f"{float(rate(step)):.3g}; try a lower `learning_rate` than {highest:g}, or `clip`.{kept}"
    )


def _learning_rate(settings: LoopSettings) -> optax.Schedule:
    warmup = round(settings.warmup * settings.steps)
    return optax.warmup_cosine_decay_schedule(0, settings.learning_rate, warmup, settings.steps)


def adamw(settings: LoopSettings) -> optax.GradientTransformation:
    """Returns the optimizer of all training (Loshchilov and Hutter, 2019, https://arxiv.org/abs/1711.05101)."""
    decayed = optax.adamw(
        _learning_rate(settings),
        weight_decay=settings.weight_decay,
        mask=lambda params: jax.tree.map(lambda w: w.ndim > 1, params),
    )
    if settings.clip is None:
        return decayed
    return optax.chain(optax.clip_by_global_norm(settings.clip), decayed)
