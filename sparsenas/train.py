"""Training: the supernet with a random architecture at each step, and single networks with pruning.

Several steps run in one call of the device: a call allocates its memory afresh, which for a network of
this kind costs as much as a step. Batches, shifts and architectures are drawn with numpy from the seed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Arch, Space
from sparsenas.sparsity.masking import magnitude_pruning
from sparsenas.sparsity.schedules import cubic
from sparsenas.supernet import Choices, batch_one_hot, refresh_ranks, supernet

if TYPE_CHECKING:
    from sparsenas.data import Split

PyTree = Any

Report = Callable[[int, int, dict[str, float]], None]
"""`(steps done, steps in all, metrics)`, now and then during training."""

Evaluator = Callable[[Sequence[Arch]], np.ndarray]
"""Architectures to their accuracies, float64 [len(archs)]."""

# Of the running mean and variance of normalisation: what one batch moves them.
_STATS_RATE = 0.1
# Images classified in one pass; more do not go faster, but need memory.
_EVALUATION_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class SupernetSettings:
    """How to train a supernet.

    Attributes:
        steps: how many batches.
        batch: images of a batch.
        learning_rate: the highest; rises over the `warmup` part of all steps and falls along a cosine.
        warmup: part of the steps.
        weight_decay: of weights, not of biases and normalisation.
        label_smoothing: part of the label that is spread over all classes.
        shift: images are moved at random by up to so many pixels.
        flip: images are mirrored at random.
        largest: part of the steps that train the largest network instead of a random one.
        rank_every: steps between two looks at which weights are small.
    """

    steps: int = 300
    batch: int = 64
    learning_rate: float = 2e-2
    warmup: float = 0.1
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    shift: int = 2
    flip: bool = False
    largest: float = 0.2
    rank_every: int = 20


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """How to train a single network.

    Attributes:
        steps: how many batches.
        batch: images of a batch.
        learning_rate: the highest; rises over the `warmup` part of all steps and falls along a cosine.
        warmup: part of the steps.
        weight_decay: of weights, not of biases and normalisation.
        label_smoothing: part of the label that is spread over all classes.
        shift: images are moved at random by up to so many pixels.
        flip: images are mirrored at random.
        prune_begin: part of the training after which weights become zeros.
        prune_end: part of the training after which there are as many zeros as the space asks.
        prune_every: steps between two changes of the masks.
    """

    steps: int = 300
    batch: int = 64
    learning_rate: float = 2e-2
    warmup: float = 0.1
    weight_decay: float = 1e-2
    label_smoothing: float = 0.1
    shift: int = 2
    flip: bool = False
    prune_begin: float = 0.15
    prune_end: float = 0.6
    prune_every: int = 10


def train_supernet(
    net: PureModule,
    space: Space,
    split: "Split",
    settings: SupernetSettings,
    *,
    seed: int,
    report: Report | None = None,
) -> Variables:
    """Trains the shared weights, each step as another architecture of the space.

    Raises:
        UserError: when the loss is no longer finite.
    """
    init_rng, data_rng, arch_rng = np.random.default_rng(seed).spawn(3)

    def draw(steps: int) -> Choices:
        largest = arch_rng.random(steps) < settings.largest
        archs = [space.largest if most else space.sample(arch_rng) for most in largest]
        return batch_one_hot(space, archs)

    return _train(
        net,
        net.init(init_rng),
        _optimizer(settings),
        split,
        settings,
        rng=data_rng,
        steps_per_call=settings.rank_every,
        draw=draw,
        between=lambda variables: refresh_ranks(space, variables),
        report=report,
    )


def train_network(
    space: Space,
    split: "Split",
    settings: NetworkSettings,
    *,
    seed: int,
    report: Report | None = None,
) -> Variables:
    """Trains the only network of a space without choices, pruning as it goes.

    Returns:
        Variables of `supernet(space)`; each layer's weight has exactly the zeros that `Layer` promises.

    Raises:
        UserError: when the loss is no longer finite.
    """
    if space.choices:
        raise ValueError(f"`space` must have no choices, found {len(space.choices)}; see `Space.fixed`.")
    net = supernet(space)
    init_rng, data_rng = np.random.default_rng(seed).spawn(2)
    variables = net.init(init_rng)
    begin = round(settings.prune_begin * settings.steps)
    end = max(round(settings.prune_end * settings.steps), begin + 1)
    optimizer = magnitude_pruning(
        _optimizer(settings),
        sparsity_targets(space, variables.params),
        schedule=cubic(begin=begin, end=end),
        every=settings.prune_every,
    )
    return _train(
        net,
        variables,
        optimizer,
        split,
        settings,
        rng=data_rng,
        steps_per_call=20,
        draw=lambda steps: (),
        between=lambda variables: variables,
        report=report,
    )


def sparsity_targets(space: Space, params: PyTree) -> PyTree:
    """Returns the fraction of zeros of each parameter of a space without choices."""
    fractions = {layer.name: layer.sparsity for layer in space.layers(())}
    return {
        name: {key: fractions[name] if key == "weight" else 0.0 for key in layer}
        for name, layer in params.items()
    }


def supernet_evaluator(
    net: PureModule,
    space: Space,
    variables: Variables,
    *,
    calibration: "Split",
    validation: "Split",
    calibration_images: int = 128,
    chunk: int = 8,
) -> Evaluator:
    """Returns a function that scores architectures with the supernet's weights.

    Each is normalised with its own statistics, taken from some of the calibration images: those left from
    training are an average over all architectures and fit none (Yu and Huang, 2019,
    https://arxiv.org/abs/1903.05134).

    Args:
        variables: ranks as `refresh_ranks` left them.
        calibration: usually the training images.
        calibration_images: how many of them, evenly spaced, as classes may come one after the other.
        validation: all of its images are classified.
        chunk: architectures per call of the device; one compilation serves all calls.
    """
    size = len(calibration.images)
    spaced = np.linspace(0, size - 1, min(calibration_images, size)).round().astype(int)
    images, batches, variables = jax.device_put(
        (calibration.images[spaced], _in_batches(validation.images, _EVALUATION_BATCH), variables)
    )

    def score(choices: Choices) -> jax.Array:
        _, stats = net.apply(variables, _float(images), choices, train=True)
        calibrated = variables._replace(stats=stats)

        def predict(batch: jax.Array) -> jax.Array:
            return net.apply(calibrated, _float(batch), choices, train=False)[0].argmax(-1)

        return lax.map(predict, batches).reshape(-1)

    @jax.jit
    def score_all(choices: Choices) -> jax.Array:
        # One after the other where caches are small: together, eight take twice as long on a CPU.
        return lax.map(score, choices, batch_size=None if jax.default_backend() == "cpu" else chunk)

    def evaluate(archs: Sequence[Arch]) -> np.ndarray:
        accuracies = []
        for i in range(0, len(archs), chunk):
            some = list(archs[i : i + chunk])
            filled = some + [some[-1]] * (chunk - len(some))
            classes = np.asarray(score_all(batch_one_hot(space, filled)))
            right = classes[: len(some), : len(validation.labels)] == validation.labels
            accuracies.extend(right.mean(1).tolist())
        return np.array(accuracies)

    return evaluate


def logits(net: PureModule, variables: Variables, images: np.ndarray) -> np.ndarray:
    """Computes the outputs of a network without choices.

    Args:
        images: uint8 [N, H, W, C].

    Returns:
        float32 [N, classes].
    """
    apply = jax.jit(lambda variables, x: net.apply(variables, _float(x), (), train=False)[0])
    batches = _in_batches(images, _EVALUATION_BATCH)
    return np.concatenate([np.asarray(apply(variables, batch)) for batch in batches])[: len(images)]


def accuracy(net: PureModule, variables: Variables, split: "Split") -> float:
    """Returns the part of the images that a network without choices classifies correctly."""
    return float((logits(net, variables, split.images).argmax(-1) == split.labels).mean())


class _State(NamedTuple):
    params: PyTree
    stats: PyTree
    optimizer: optax.OptState


def _train(
    net: PureModule,
    variables: Variables,
    optimizer: optax.GradientTransformation,
    split: "Split",
    settings: SupernetSettings | NetworkSettings,
    *,
    rng: np.random.Generator,
    steps_per_call: int,
    draw: Callable[[int], Choices],
    between: Callable[[Variables], Variables],
    report: Report | None,
) -> Variables:
    """Runs all steps.

    Args:
        draw: gives the choices of so many steps, [steps, options] each.
        between: changes the variables after each call of the device.
    """
    images, labels = jax.device_put((split.images, split.labels))
    state = jax.device_put(_State(variables.params, variables.stats, optimizer.init(variables.params)))
    batches = _batches(len(split.images), settings, rng)

    def loss_and_stats(params: PyTree, state: _State, ranks: PyTree, batch: "_Batch", choices: Choices):
        x = _float(_augmented(images, batch))
        used = variables._replace(params=params, stats=state.stats, ranks=ranks)
        outputs, stats = net.apply(used, x, choices, train=True)
        classes = outputs.shape[-1]
        targets = optax.smooth_labels(
            jax.nn.one_hot(labels[batch.indices], classes), settings.label_smoothing
        )
        loss = optax.softmax_cross_entropy(outputs, targets).mean()
        correct = (outputs.argmax(-1) == labels[batch.indices]).mean()
        return loss, (stats, correct)

    @jax.jit
    def run(state: _State, ranks: PyTree, batches: "_Batch", choices: Choices, steps: jax.Array):
        # Steps are counted at run time, so that a shorter last call needs no compilation of its own.
        def step(i: int, carry: tuple) -> tuple:
            state, losses, correct = carry
            batch, options = jax.tree.map(lambda a: a[i], (batches, choices))
            (loss, (stats, right)), gradients = jax.value_and_grad(loss_and_stats, has_aux=True)(
                state.params, state, ranks, batch, options
            )
            updates, moments = optimizer.update(gradients, state.optimizer, state.params)
            stats = optax.incremental_update(stats, state.stats, _STATS_RATE)
            state = _State(optax.apply_updates(state.params, updates), stats, moments)
            return state, losses.at[i].set(loss), correct.at[i].set(right)

        zeros = jnp.zeros(steps_per_call)
        return lax.fori_loop(0, steps, step, (state, zeros, zeros))

    for done in range(0, settings.steps, steps_per_call):
        steps = min(steps_per_call, settings.steps - done)
        some = jax.tree.map(lambda *a: np.stack(a), *(next(batches) for _ in range(steps_per_call)))
        state, losses, correct = run(state, variables.ranks, some, draw(steps_per_call), np.int32(steps))
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


def _check_losses(losses: np.ndarray, done: int, settings: SupernetSettings | NetworkSettings) -> None:
    if np.isfinite(losses).all():
        return
    step = done + int(np.argmin(np.isfinite(losses)))
    rate = float(_learning_rate(settings)(step))
    raise UserError(
        f"Training diverged: the loss of step {step} is not finite, at learning rate {rate:.3g}; "
        f"try a lower `learning_rate` than {settings.learning_rate:g}."
    )


def _learning_rate(settings: SupernetSettings | NetworkSettings) -> optax.Schedule:
    warmup = round(settings.warmup * settings.steps)
    return optax.warmup_cosine_decay_schedule(0, settings.learning_rate, warmup, settings.steps)


def _optimizer(settings: SupernetSettings | NetworkSettings) -> optax.GradientTransformation:
    return optax.adamw(
        _learning_rate(settings),
        weight_decay=settings.weight_decay,
        mask=lambda params: jax.tree.map(lambda w: w.ndim > 1, params),
    )


class _Batch(NamedTuple):
    """One batch, as numbers: int32 [N], [N, 2] pixels, bool [N]."""

    indices: np.ndarray
    shifts: np.ndarray
    flips: np.ndarray


def _batches(
    size: int, settings: SupernetSettings | NetworkSettings, rng: np.random.Generator
) -> Iterator[_Batch]:
    """Yields batches for ever; every image once before any comes again."""
    indices = np.empty(0, np.int32)
    n = settings.batch
    while True:
        while len(indices) < n:
            indices = np.concatenate([indices, rng.permutation(size).astype(np.int32)])
        shifts = rng.integers(-settings.shift, settings.shift + 1, (n, 2), np.int32)
        flips = rng.random(n) < 0.5 if settings.flip else np.zeros(n, bool)
        yield _Batch(indices[:n], shifts, flips)
        indices = indices[n:]


def _augmented(images: jax.Array, batch: _Batch) -> jax.Array:
    """Returns the moved and mirrored images of a batch; the border repeats where they move away from it."""
    _, h, w, _ = images.shape
    rows = jnp.clip(jnp.arange(h)[None] + batch.shifts[:, :1], 0, h - 1)
    columns = jnp.clip(jnp.arange(w)[None] + batch.shifts[:, 1:], 0, w - 1)
    columns = jnp.where(batch.flips[:, None], columns[:, ::-1], columns)
    return images[batch.indices[:, None, None], rows[:, :, None], columns[:, None, :]]


def _in_batches(images: np.ndarray, most: int) -> np.ndarray:
    """Returns [batches, N, H, W, C] with N at most `most`; the last batch is filled up with zeros."""
    count = -(-len(images) // most)
    n = -(-len(images) // count)
    batches = np.zeros((count * n, *images.shape[1:]), images.dtype)
    batches[: len(images)] = images
    return batches.reshape(count, n, *images.shape[1:])


def _float(images: jax.Array) -> jax.Array:
    """Returns uint8 images as networks take them, float32 in [0, 1]."""
    return images.astype(jnp.float32) / 255
