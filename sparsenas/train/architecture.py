"""Trains a supernet's weights and its architecture in turns: the loop of every differentiable search.

Each step moves the logits of a strategy by images that the weights never see, then the weights by theirs.
A multiplier holds the expected latency at the target meanwhile. Everything random is drawn from the seed and
the step's number, so that a search which was stopped goes on as if it had not been.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from sparsenas.data.splits import Split, stratify
from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Space
from sparsenas.strategies.beliefs import Beliefs, beliefs_of
from sparsenas.strategies.differentiable.base import Differentiable, Logits, Mixture, Of, even, softmax
from sparsenas.strategies.differentiable.darts import unrolled
from sparsenas.strategies.differentiable.multiplier import pull
from sparsenas.supernet import refresh_ranks
from sparsenas.train.batches import Batch, augmented, batches_of, to_float
from sparsenas.train.keeping import Keeper
from sparsenas.train.loop import STATS_RATE, Report, check_losses

PyTree = Any


@dataclass(frozen=True, kw_only=True)
class ArchitectureSettings:
    """How a differentiable search trains.

    Attributes:
        steps: of the weights; as many of the logits, but for those of `frozen`.
        batch: images of a step of either.
        held: part of the images that the logits are trained with, the weights with the others.
        frozen: part of the steps before the logits begin to move.
        learning_rate: of the weights' momentum, the highest; falls along a cosine to a twenty-fifth.
        momentum: of the weights.
        weight_decay: of the weights.
        clip: highest norm of the weights' gradients together.
        shift: images of the weights are moved at random by up to so many pixels.
        flip: and mirrored.
        travel: how far a logit can move in the whole search: Adam's learning rate is this over the steps.
            The 3e-4 of DARTS, over its 19,550 steps, are 5.9.
        ascent: how far the multiplier moves in the whole search if latency is e times the target.
        damping: of the multiplier.
        below: part of the target that expected latency is held below it.
        rank_every: steps between two looks at which weights are small.
    """

    steps: int = 600
    batch: int = 64
    held: float = 0.5
    frozen: float = 0.1
    learning_rate: float = 0.025
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    shift: int = 2
    flip: bool = False
    travel: float = 10.0
    ascent: float = 10.0
    damping: float = 1.0
    below: float = 0.015
    rank_every: int = 20

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "rank_every"):
            if getattr(self, name) < 1:
                raise UserError(f"`{name}` must be at least 1, found {getattr(self, name)}.")
        for name in ("frozen", "below", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"`{name}` must be at least 0 and below 1, found {getattr(self, name)}.")
        if not 0 < self.held < 1:
            raise UserError(f"`held` must be above 0 and below 1, found {self.held}.")
        for name in ("learning_rate", "clip", "travel"):
            if not getattr(self, name) > 0:
                raise UserError(f"`{name}` must be above 0, found {getattr(self, name)}.")
        for name in ("weight_decay", "shift", "ascent", "damping"):
            if not getattr(self, name) >= 0:
                raise UserError(f"`{name}` must be at least 0, found {getattr(self, name)}.")


class Searched(NamedTuple):
    """What a differentiable search leaves.

    Attributes:
        variables: of the supernet.
        logits: one numpy vector per choice.
        multiplier: of the latency, in the end: what one part in e of it is worth, in loss.
        beliefs: the probabilities over time.
    """

    variables: Variables
    logits: tuple[np.ndarray, ...]
    multiplier: float
    beliefs: Beliefs


class _State(NamedTuple):
    """All that a step changes."""

    step: jax.Array
    params: PyTree
    stats: PyTree
    optimizer: optax.OptState
    logits: Logits
    moments: optax.OptState
    multiplier: jax.Array


class _Fixed(NamedTuple):
    """What no step changes."""

    images: jax.Array
    labels: jax.Array
    held_images: jax.Array
    held_labels: jax.Array
    aim_ms: jax.Array
    root: jax.Array


class _Trace(NamedTuple):
    """What the steps of a call leave beside the state, each [steps]; zeros where logits do not move."""

    loss: jax.Array
    held_loss: jax.Array
    accuracy: jax.Array
    excess: jax.Array


def train_architecture(
    net: PureModule,
    space: Space,
    split: Split,
    strategy: Differentiable,
    latency: Of,
    settings: ArchitectureSettings,
    *,
    target_ms: float,
    seed: int,
    report: Report | None = None,
    keeper: Keeper | None = None,
) -> Searched:
    """Searches an architecture under a latency target while it trains the supernet's weights.

    Args:
        latency: expected milliseconds of a mixture, such as `Tabulated.expected`.
        keeper: keeps the state on disk and goes on from what is there, to the last bit.

    Raises:
        UserError: when a loss is no longer finite, images cannot be halved, or what is kept does not fit.
    """
    init_rng, halves_rng, data_rng, held_rng, key_rng = np.random.default_rng(seed).spawn(5)
    weights, held = halves(split, settings, halves_rng)
    root = jax.random.key(int(key_rng.integers(2**31)))
    calls = -(-settings.steps // settings.rank_every)
    variables = net.init(init_rng)
    optimizer, rate = _sgd(settings)
    adam = _adam(strategy, settings)
    logits = even(space)
    state = _State(
        np.int32(0),
        variables.params,
        variables.stats,
        optimizer.init(variables.params),
        logits,
        adam.init(logits),
        np.float32(strategy.multiplier),
    )
    noted = tuple(np.zeros((calls, len(one)), np.float32) for one in logits)
    done = 0
    if keeper is not None and (found := keeper.load(_kept(state, variables, noted))) is not None:
        done, kept = found
        state, noted = kept["state"], tuple(np.array(one) for one in kept["noted"])
        variables = variables._replace(ranks=kept["ranks"])
    steps_of = _stepper(net, variables, strategy, latency, optimizer, adam, settings)
    # Arguments of the compiled function: constants would make it another one for every target and seed.
    fixed = jax.device_put(
        _Fixed(
            weights.images,
            weights.labels,
            held.images,
            held.labels,
            np.float32(target_ms * (1 - settings.below)),
            root,
        )
    )
    state = jax.device_put(state)
    drawn = _drawn(weights, held, settings, data_rng, held_rng)
    for _ in range(0, done, settings.rank_every):
        next(drawn)
    try:
        while done < settings.steps:
            steps = min(settings.rank_every, settings.steps - done)
            moved, trace = steps_of(state, variables.ranks, fixed, *next(drawn), np.int32(steps))
            trace = _Trace(*(np.asarray(one)[:steps] for one in trace))
            check_losses(
                trace.loss + trace.held_loss, done, rate=rate, highest=settings.learning_rate, keeper=keeper
            )
            changed = refresh_ranks(space, variables._replace(params=moved.params, stats=moved.stats))
            now = tuple(one.copy() for one in noted)
            for into, one in zip(now, softmax(moved.logits), strict=True):
                into[done // settings.rank_every] = one
            # At once, so that what is kept after Ctrl-C belongs together.
            done, state, variables, noted = done + steps, moved, changed, now
            if keeper is not None and (keeper.is_due(done) or done == settings.steps):
                keeper.save(done, _kept(state, variables, noted))
            if report is not None:
                ms = float(latency(softmax(state.logits)))
                report(done, settings.steps, _metrics(trace, ms, state, rate))
    except KeyboardInterrupt:
        if keeper is not None and done:
            keeper.save(done, _kept(state, variables, noted))
        raise
    ends = [min((i + 1) * settings.rank_every, settings.steps) for i in range(calls)]
    return Searched(
        variables=jax.device_get(variables._replace(params=state.params, stats=state.stats)),
        logits=tuple(np.asarray(one) for one in state.logits),
        multiplier=float(state.multiplier),
        beliefs=beliefs_of(space, ends, noted, unit="steps"),
    )


def _stepper(
    net: PureModule,
    variables: Variables,
    strategy: Differentiable,
    latency: Of,
    optimizer: optax.GradientTransformation,
    adam: optax.GradientTransformation,
    settings: ArchitectureSettings,
) -> Callable[..., tuple[_State, _Trace]]:
    """Returns a compiled function that does some steps in one call."""
    frozen = round(settings.frozen * settings.steps)
    # The multiplier climbs so much in each step, however many there are.
    climb = settings.ascent / max(settings.steps - frozen, 1)

    def loss(
        params: PyTree, mixture: Mixture, state: _State, ranks: PyTree, seen: tuple, *, hard: bool
    ) -> tuple[jax.Array, tuple[PyTree, jax.Array]]:
        x, labels = seen
        used = variables._replace(params=params, stats=state.stats, ranks=ranks)
        outputs, stats = net.apply(used, x, mixture, train=True, hard=hard)
        value = optax.softmax_cross_entropy_with_integer_labels(outputs, labels).mean()
        return value, (stats, (outputs.argmax(-1) == labels).mean())

    def move_logits(
        state: _State, ranks: PyTree, seen: tuple, held: tuple, aim_ms: jax.Array, key: jax.Array
    ) -> tuple[_State, jax.Array, jax.Array]:
        progress = state.step / settings.steps

        def training(params: PyTree, mixture: Mixture) -> jax.Array:
            return loss(params, mixture, state, ranks, seen, hard=False)[0]

        def validation(params: PyTree, mixture: Mixture) -> jax.Array:
            return loss(params, mixture, state, ranks, held, hard=False)[0]

        def step(params: PyTree, gradients: PyTree) -> PyTree:
            updates, _ = optimizer.update(gradients, state.optimizer, params)
            return optax.apply_updates(params, updates)

        if strategy.unrolled:
            of_mixture = unrolled(training, validation, state.params, step)
        else:
            of_mixture = partial(validation, state.params)
        value, gradients = strategy.gradient(of_mixture, latency, state.logits, key, progress)
        excess, to_target = pull(
            latency,
            state.logits,
            state.multiplier,
            target_ms=aim_ms,
            damping=settings.damping,
            progress=progress,
        )
        gradients = jax.tree.map(jnp.add, gradients, to_target)
        updates, moments = adam.update(gradients, state.moments, state.logits)
        after = optax.apply_updates(state.logits, updates)
        logits = strategy.settle(state.logits, after, key)
        multiplier = state.multiplier + climb * excess
        moved = state._replace(logits=logits, moments=moments, multiplier=jnp.float32(multiplier))
        return moved, jnp.float32(value), jnp.float32(excess)

    def one_step(
        state: _State, ranks: PyTree, seen: tuple, held: tuple, fixed: _Fixed
    ) -> tuple[_State, _Trace]:
        for_logits, for_weights = jax.random.split(jax.random.fold_in(fixed.root, state.step))
        state, held_loss, excess = lax.cond(
            state.step >= frozen,
            lambda: move_logits(state, ranks, seen, held, fixed.aim_ms, for_logits),
            lambda: (state, jnp.float32(0), jnp.float32(0)),
        )
        mixture = strategy.draw(state.logits, for_weights, state.step / settings.steps)
        (value, (stats, right)), gradients = jax.value_and_grad(loss, has_aux=True)(
            state.params, mixture, state, ranks, seen, hard=strategy.hard
        )
        updates, moments = optimizer.update(gradients, state.optimizer, state.params)
        state = state._replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            stats=optax.incremental_update(stats, state.stats, STATS_RATE),
            optimizer=moments,
        )
        return state, _Trace(value, held_loss, right, excess)

    @jax.jit
    def steps_of(
        state: _State, ranks: PyTree, fixed: _Fixed, batches: Batch, held_batches: Batch, steps: jax.Array
    ) -> tuple[_State, _Trace]:
        def step(i: int, carry: tuple[_State, _Trace]) -> tuple[_State, _Trace]:
            state, traces = carry
            batch, held_batch = jax.tree.map(lambda a: a[i], (batches, held_batches))
            seen = to_float(augmented(fixed.images, batch)), fixed.labels[batch.indices]
            held = (
                to_float(fixed.held_images[held_batch.indices]),
                fixed.held_labels[held_batch.indices],
            )
            state, trace = one_step(state, ranks, seen, held, fixed)
            return state, jax.tree.map(lambda all, one: all.at[i].set(one), traces, trace)

        zeros = jnp.zeros(settings.rank_every)
        return lax.fori_loop(0, steps, step, (state, _Trace(zeros, zeros, zeros, zeros)))

    return steps_of


def halves(split: Split, settings: ArchitectureSettings, rng: np.random.Generator) -> tuple[Split, Split]:
    """Returns the images of the weights and those of the logits, both with all classes alike."""
    weights, held = stratify(split.labels, (1 - settings.held, settings.held), rng)
    if not len(weights) or not len(held):
        raise UserError(
            f"A differentiable search needs two or more training images of a class, {len(split.labels)} "
            f"images leave {len(weights)} for the weights and {len(held)} for the architecture; add some."
        )
    return tuple(Split(split.images[rows], split.labels[rows]) for rows in (weights, held))


def _drawn(
    weights: Split,
    held: Split,
    settings: ArchitectureSettings,
    data_rng: np.random.Generator,
    held_rng: np.random.Generator,
) -> Iterator[tuple[Batch, Batch]]:
    """Yields the batches of one call of the device after the other."""
    both = (
        batches_of(
            len(weights.labels),
            batch=settings.batch,
            shift=settings.shift,
            flip=settings.flip,
            rng=data_rng,
        ),
        batches_of(len(held.labels), batch=settings.batch, shift=0, flip=False, rng=held_rng),
    )
    while True:
        some = [[next(batches) for _ in range(settings.rank_every)] for batches in both]
        yield tuple(jax.tree.map(lambda *a: np.stack(a), *one) for one in some)


def _sgd(settings: ArchitectureSettings) -> tuple[optax.GradientTransformation, optax.Schedule]:
    """Returns the optimizer of the weights and its learning rate, those of DARTS."""
    rate = optax.cosine_decay_schedule(settings.learning_rate, settings.steps, alpha=1 / 25)
    return optax.chain(
        optax.clip_by_global_norm(settings.clip),
        optax.add_decayed_weights(settings.weight_decay),
        optax.sgd(rate, momentum=settings.momentum),
    ), rate


def _adam(strategy: Differentiable, settings: ArchitectureSettings) -> optax.GradientTransformation:
    """Returns the optimizer of the logits."""
    b1, b2 = strategy.betas
    rate = settings.travel / max(settings.steps - round(settings.frozen * settings.steps), 1)
    return optax.chain(optax.add_decayed_weights(strategy.decay), optax.adam(rate, b1=b1, b2=b2))


def _kept(state: _State, variables: Variables, noted: tuple[np.ndarray, ...]) -> PyTree:
    """Returns all that a search needs to go on."""
    return {"state": state, "ranks": variables.ranks, "noted": noted}


def _metrics(trace: _Trace, ms: float, state: _State, rate: optax.Schedule) -> dict[str, float]:
    return {
        "loss": float(trace.loss.mean()),
        "accuracy": float(trace.accuracy.mean()),
        "latency_ms": ms,
        "multiplier": float(state.multiplier),
        "learning_rate": float(rate(int(state.step) - 1)),
    }
