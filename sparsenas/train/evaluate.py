"""Scores architectures with a supernet's weights.

Each is normalised with its own statistics. On a CPU it is then cut out of the supernet and run by the native
kernels, one architecture on each core: they compute neither its zeros nor the channels that it lacks.
Elsewhere the supernet classifies the images itself, as several architectures at once.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

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

Array = np.ndarray | jax.Array

Evaluator = Callable[[Sequence[Arch]], np.ndarray]
"""Architectures to their accuracies, float64 [len(archs)]."""


class Scores(NamedTuple):
    """What networks make of the validation images, each float64 [networks].

    Attributes:
        accuracy: part of the images that is classified correctly.
        loss: mean cross entropy, in nats. Of networks that are almost alike it tells which is better sooner
            than their accuracy does.
    """

    accuracy: np.ndarray
    loss: np.ndarray


class _Answers(NamedTuple):
    """Of some networks about all validation images and what fills their last batch, each [networks, N].

    Attributes:
        right: whether the class is the label.
        loss: cross entropy.
    """

    right: np.ndarray
    loss: np.ndarray


_Ask = Callable[[Sequence[Arch]], _Answers]


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


def supernet_scorer(
    net: PureModule,
    space: Space,
    variables: Variables,
    *,
    calibration: "Split",
    validation: "Split",
    calibration_size: int = 128,
    chunk: int = 8,
) -> Callable[[Sequence[Arch]], Scores]:
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
    count = len(validation.labels)
    labels = np.zeros(batches.shape[:2], np.int32)
    labels.reshape(-1)[:count] = validation.labels
    way = _cut_out if jax.default_backend() == "cpu" else _stacked
    ask = way(net, space, variables, images, batches, labels, chunk)

    def scores(archs: Sequence[Arch]) -> Scores:
        # So that no networks have no scores.
        right, loss = [np.zeros(0)], [np.zeros(0)]
        for i in range(0, len(archs), chunk):
            answers = ask(archs[i : i + chunk])
            right.append(answers.right[:, :count].mean(1))
            loss.append(answers.loss[:, :count].mean(1, dtype=np.float64))
        return Scores(np.concatenate(right), np.concatenate(loss))

    return scores


def supernet_evaluator(net: PureModule, space: Space, variables: Variables, **settings: Any) -> Evaluator:
    """Returns a function of architectures to their accuracies, as `supernet_scorer` finds them.

    Args:
        settings: those of `supernet_scorer`.
    """
    scores = supernet_scorer(net, space, variables, **settings)
    return lambda archs: scores(archs).accuracy


def _cut_out(
    net: PureModule,
    space: Space,
    variables: Variables,
    images: np.ndarray,
    batches: np.ndarray,
    labels: np.ndarray,
    chunk: int,
) -> _Ask:
    """Asks the native kernels.

    Args:
        images: uint8 [batches, N, H, W, C], by which networks are normalised.
        batches: uint8 [batches, N, H, W, C], of the validation.
        labels: int32 [batches, N], of them.
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

    def answers_of(arch: Arch, stats: Stats) -> _Answers:
        network = fold(space, on_host._replace(stats=stats), classes=names, arch=arch)
        model = native.Model.from_bytes(to_bytes(network))
        found = [
            _answers(np, model.run(np.float32(batch) / 255), wanted)
            for batch, wanted in zip(batches, labels, strict=True)
        ]
        return _Answers(*map(np.concatenate, zip(*found, strict=True)))

    def ask(archs: Sequence[Arch]) -> _Answers:
        found = jax.device_get(statistics(on_device, batch_one_hot(space, _filled(archs, chunk)), len(archs)))
        own = [jax.tree.map(lambda stat, i=i: stat[i], found) for i in range(len(archs))]
        with ThreadPoolExecutor(native.cpu()["cores"]) as pool:
            return _Answers(*map(np.stack, zip(*pool.map(answers_of, archs, own), strict=True)))

    return ask


def _stacked(
    net: PureModule,
    space: Space,
    variables: Variables,
    images: np.ndarray,
    batches: np.ndarray,
    labels: np.ndarray,
    chunk: int,
) -> _Ask:
    """Asks the supernet, as `chunk` architectures in one call; arguments as for `_cut_out`."""
    arguments = jax.device_put((variables, images, batches, labels))

    @jax.jit
    def run(arguments: tuple[Variables, jax.Array, jax.Array, jax.Array], choices: Choices) -> _Answers:
        variables, images, batches, labels = arguments

        def one(choices: Choices) -> _Answers:
            used = variables._replace(stats=measured(net, variables, images, choices, hard=True))

            def answer(seen: tuple[jax.Array, jax.Array]) -> _Answers:
                batch, wanted = seen
                outputs, _ = net.apply(used, to_float(batch), choices, train=False, hard=True)
                return _answers(jnp, outputs, wanted)

            return jax.tree.map(jnp.ravel, lax.map(answer, (batches, labels)))

        return lax.map(one, choices, batch_size=chunk)

    def ask(archs: Sequence[Arch]) -> _Answers:
        found = run(arguments, batch_one_hot(space, _filled(archs, chunk)))
        return _Answers(*(np.asarray(one)[: len(archs)] for one in found))

    return ask


def _answers(np_or_jnp: ModuleType, outputs: Array, labels: Array) -> _Answers:
    """Returns what outputs [N, classes] say of labels [N], each [N]."""
    shifted = outputs - outputs.max(-1, keepdims=True)
    of_labels = np_or_jnp.take_along_axis(shifted, labels[:, None], -1)[:, 0]
    loss = np_or_jnp.log(np_or_jnp.exp(shifted).sum(-1)) - of_labels
    return _Answers(outputs.argmax(-1) == labels, loss)


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
