"""Scores architectures with a supernet's weights."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np
from jax import lax

from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Arch, Space
from sparsenas.supernet import Choices, batch_one_hot, one_hot
from sparsenas.train.batches import EVALUATION_BATCH, in_batches, to_float

if TYPE_CHECKING:
    from sparsenas.data import Split

# Pixels classified in one pass on a CPU: what 32 images of 32 x 32 become on their way stays in its caches.
_CACHED_PIXELS = 2**15

Evaluator = Callable[[Sequence[Arch]], np.ndarray]
"""Architectures to their accuracies, float64 [len(archs)]."""


def calibration_images(split: "Split", count: int) -> np.ndarray:
    """Returns some images of a split, evenly spaced, as classes may come one after the other."""
    size = len(split.images)
    return split.images[np.linspace(0, size - 1, min(count, size)).round().astype(int)]


def calibrated(
    net: PureModule, space: Space, variables: Variables
) -> Callable[[Arch, np.ndarray], Variables]:
    """Returns a function that gives a supernet's variables the statistics of one architecture.

    Those left from training are an average over all architectures and fit none (Yu and Huang, 2019,
    https://arxiv.org/abs/1903.05134). It takes an architecture and uint8 images [N, H, W, C], such as
    `calibration_images`, and is compiled once for each number of images.
    """
    statistics = jax.jit(
        lambda variables, x, choices: net.apply(variables, to_float(x), choices, train=True, hard=True)[1]
    )

    def calibrate(arch: Arch, images: np.ndarray) -> Variables:
        stats = statistics(variables, images, one_hot(space, arch))
        return variables._replace(stats=jax.device_get(stats))

    return calibrate


def supernet_evaluator(
    net: PureModule,
    space: Space,
    variables: Variables,
    *,
    calibration: "Split",
    validation: "Split",
    calibration_size: int = 128,
    chunk: int = 8,
) -> Evaluator:
    """Returns a function that scores architectures with the supernet's weights.

    Each is normalised with its own statistics, as `calibrated` finds them.

    Args:
        variables: ranks as `refresh_ranks` left them.
        calibration: usually the training images.
        calibration_size: how many of them.
        validation: all of its images are classified.
        chunk: architectures per call of the device; one compilation serves all calls.

    Raises:
        UserError: where weights are not numbers.
    """
    _check_finite(variables)
    images, batches, variables = jax.device_put(
        (
            calibration_images(calibration, calibration_size),
            in_batches(validation.images, _images_at_once(space)),
            variables,
        )
    )

    def score(choices: Choices) -> jax.Array:
        _, stats = net.apply(variables, to_float(images), choices, train=True, hard=True)
        used = variables._replace(stats=stats)

        def predict(batch: jax.Array) -> jax.Array:
            return net.apply(used, to_float(batch), choices, train=False, hard=True)[0].argmax(-1)

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


def _images_at_once(space: Space) -> int:
    if jax.default_backend() != "cpu":
        return EVALUATION_BATCH
    height, width, _ = space.image
    return max(_CACHED_PIXELS // (height * width), 1)


def _check_finite(variables: Variables) -> None:
    for name, layer in variables.params.items():
        for what, array in layer.items():
            if not np.isfinite(array).all():
                raise UserError(
                    f"The {what} of layer {name!r} of the supernet holds NaN or infinity; its training has "
                    "diverged. Train it again, at a lower `learning_rate`."
                )
