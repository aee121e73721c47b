"""Trains a supernet, a random architecture at each step, and scores architectures with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax import lax

from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Arch, Space
from sparsenas.supernet import Choices, batch_one_hot, refresh_ranks
from sparsenas.train.batches import EVALUATION_BATCH, in_batches, to_float
from sparsenas.train.loop import LoopSettings, Report, adamw, run

if TYPE_CHECKING:
    from sparsenas.data import Split

Evaluator = Callable[[Sequence[Arch]], np.ndarray]
"""Architectures to their accuracies, float64 [len(archs)]."""


@dataclass(frozen=True, kw_only=True)
class SupernetSettings(LoopSettings):
    """How to train a supernet.

    Attributes:
        largest: part of the steps that train the largest network instead of a random one.
        rank_every: steps between two looks at which weights are small.
    """

    largest: float = 0.2
    rank_every: int = 20


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

    return run(
        net,
        net.init(init_rng),
        adamw(settings),
        split,
        settings,
        rng=data_rng,
        steps_per_call=settings.rank_every,
        draw=draw,
        between=lambda variables: refresh_ranks(space, variables),
        report=report,
    )


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
        (calibration.images[spaced], in_batches(validation.images, EVALUATION_BATCH), variables)
    )

    def score(choices: Choices) -> jax.Array:
        _, stats = net.apply(variables, to_float(images), choices, train=True)
        calibrated = variables._replace(stats=stats)

        def predict(batch: jax.Array) -> jax.Array:
            return net.apply(calibrated, to_float(batch), choices, train=False)[0].argmax(-1)

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
