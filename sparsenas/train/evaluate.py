"""Scores architectures with a supernet's weights.

Each is normalised with its own statistics. On a CPU it is then cut out of the supernet and run by the native
kernels, one architecture on each core: they compute neither its zeros nor the channels that it lacks.
Elsewhere the supernet classifies the images itself, as several architectures at once.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sparsenas import native
from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.snas import to_bytes
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Arch, Space
from sparsenas.supernet import Choices, batch_one_hot, one_hot
from sparsenas.train.batches import EVALUATION_BATCH, in_batches, to_float
from sparsenas.train.statistics import Stats, measured, spread_batches

if TYPE_CHECKING:
    from sparsenas.data import Split

# Images that are normalised together: enough for their statistics, few enough to stay in caches.
_NORMALIZED = 32

Evaluator = Callable[[Sequence[Arch]], np.ndarray]
"""Architectures to their accuracies, float64 [len(archs)]."""

_Classify = Callable[[Sequence[Arch]], np.ndarray]
"""Architectures to the classes of all validation images and what fills their last batch, [len(archs), N]."""


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
        lambda variables, batches, choices: measured(net, variables, batches, choices, hard=True)
    )

    def calibrate(arch: Arch, images: np.ndarray) -> Variables:
        stats = statistics(variables, _normalized_together(images), one_hot(space, arch))
        return variables._replace(stats=jax.device_get(stats))

    return calibrate


def _normalized_together(images: np.ndarray) -> np.ndarray:
    return spread_batches(images, batch=_NORMALIZED, most=len(images))


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
    images = _normalized_together(calibration_images(calibration, calibration_size))
    batches = in_batches(validation.images, EVALUATION_BATCH)
    way = _cut_out if jax.default_backend() == "cpu" else _stacked
    classify = way(net, space, variables, images, batches, chunk)

    def evaluate(archs: Sequence[Arch]) -> np.ndarray:
        accuracies = []
        for i in range(0, len(archs), chunk):
            classes = classify(archs[i : i + chunk])
            accuracies.extend((classes[:, : len(validation.labels)] == validation.labels).mean(1).tolist())
        return np.array(accuracies)

    return evaluate


def _cut_out(
    net: PureModule, space: Space, variables: Variables, images: np.ndarray, batches: np.ndarray, chunk: int
) -> _Classify:
    """Classifies by the native kernels.

    Args:
        images: uint8 [batches, N, H, W, C], by which networks are normalised.
        batches: uint8 [batches, N, H, W, C], of the validation.
        chunk: at most so many architectures.
    """
    on_device, on_host = jax.device_put((variables, images)), jax.device_get(variables)
    names = [str(number) for number in range(space.classes)]

    @jax.jit
    def statistics(arguments: tuple[Variables, jax.Array], choices: Choices, count: int) -> Stats:
        # One after the other: together, eight take twice as long on a CPU.
        def add(i: jax.Array, found: Stats) -> Stats:
            stats = measured(net, *arguments, tuple(options[i] for options in choices), hard=True)
            return jax.tree.map(lambda all_of, one: all_of.at[i].set(one), found, stats)

        nothing = jax.tree.map(lambda stat: jnp.zeros((chunk, *stat.shape)), arguments[0].stats)
        return lax.fori_loop(0, count, add, nothing)

    def classes_of(arch: Arch, stats: Stats) -> np.ndarray:
        network = fold(space, on_host._replace(stats=stats), classes=names, arch=arch)
        model = native.Model.from_bytes(to_bytes(network))
        return np.concatenate([model.run(np.float32(batch) / 255).argmax(-1) for batch in batches])

    def classify(archs: Sequence[Arch]) -> np.ndarray:
        found = jax.device_get(statistics(on_device, batch_one_hot(space, _filled(archs, chunk)), len(archs)))
        own = [jax.tree.map(lambda stat, i=i: stat[i], found) for i in range(len(archs))]
        with ThreadPoolExecutor(native.cpu()["cores"]) as pool:
            return np.stack(list(pool.map(classes_of, archs, own)))

    return classify


def _stacked(
    net: PureModule, space: Space, variables: Variables, images: np.ndarray, batches: np.ndarray, chunk: int
) -> _Classify:
    """Classifies by the supernet, as `chunk` architectures in one call; arguments as for `_cut_out`."""
    arguments = jax.device_put((variables, images, batches))

    @jax.jit
    def run(arguments: tuple[Variables, jax.Array, jax.Array], choices: Choices) -> jax.Array:
        variables, images, batches = arguments

        def one(choices: Choices) -> jax.Array:
            used = variables._replace(stats=measured(net, variables, images, choices, hard=True))

            def predict(batch: jax.Array) -> jax.Array:
                return net.apply(used, to_float(batch), choices, train=False, hard=True)[0].argmax(-1)

            return lax.map(predict, batches).reshape(-1)

        return lax.map(one, choices, batch_size=chunk)

    def classify(archs: Sequence[Arch]) -> np.ndarray:
        found = run(arguments, batch_one_hot(space, _filled(archs, chunk)))
        return np.asarray(found)[: len(archs)]

    return classify


def _filled(archs: Sequence[Arch], chunk: int) -> list[Arch]:
    """Returns `chunk` architectures, so that fewer need no compilation of their own."""
    return [*archs, *[archs[-1]] * (chunk - len(archs))]


def _check_finite(variables: Variables) -> None:
    for name, layer in variables.params.items():
        for what, array in layer.items():
            if not np.isfinite(array).all():
                raise UserError(
                    f"The {what} of layer {name!r} of the supernet holds NaN or infinity; its training has "
                    "diverged. Train it again, at a lower `learning_rate`."
                )
