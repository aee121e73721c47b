"""A table of every network of a small space: accuracy of each trained alone, latency of each measured.

The networks have weights of their own and are computed by the supernet's code, which takes an architecture
as data: one compilation serves all. Each is trained dense first, then its zeros are put where weights are
smallest, and it is trained on. Of networks that differ in their zeros alone the dense part is the same
computation, and done once.
"""

import dataclasses
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from sparsenas import __version__, files, native
from sparsenas.bench.claim import claim
from sparsenas.bench.tabular import Table
from sparsenas.data import Split, load
from sparsenas.errors import UserError
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.latency.measure import MeasureSettings, interleaved
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Arch, Space
from sparsenas.supernet import Choices, batch_one_hot, refresh_ranks, supernet
from sparsenas.train.batches import Batch, augmented, batches_of, to_float
from sparsenas.train.sampling import kinds

PyTree = Any
Report = Callable[[int, int, str], None]
"""`(done, in all, what)`."""

# Networks in one call of the device, and in one file: what an interruption costs.
_CHUNK = 64
_STATS_RATE = 0.1


@dataclass(frozen=True, kw_only=True)
class GridSettings:
    """How the networks of the table are trained: short and on little, so that they differ.

    Attributes:
        images: that they learn from; all others test them.
        noise: standard deviation of what is added to every pixel, of 255.
        dense_steps: before there are zeros.
        sparse_steps: with them.
        batch: images of a step.
        learning_rate: the highest of Adam, of each of the two parts.
        seeds: trainings of each network.
    """

    images: int = 1000
    noise: float = 25.0
    dense_steps: int = 400
    sparse_steps: int = 200
    batch: int = 32
    learning_rate: float = 5e-3
    seeds: int = 8

    def __post_init__(self) -> None:
        for name in ("images", "dense_steps", "sparse_steps", "batch", "seeds"):
            if getattr(self, name) < 1:
                raise UserError(f"`{name}` must be at least 1, found {getattr(self, name)}.")
        if not self.noise >= 0:
            raise UserError(f"`noise` must be at least 0, found {self.noise}.")
        if not self.learning_rate > 0:
            raise UserError(f"`learning_rate` must be above 0, found {self.learning_rate}.")


def hard_digits(settings: GridSettings, side: int) -> tuple[Split, Split]:
    """Returns scikit-learn's digits under noise: few to learn from, and all others."""
    data = load("digits", size=(side, side), seed=0)
    parts = (data.train, data.validation, data.test)
    labels = np.concatenate([part.labels for part in parts])
    if not 1 <= settings.images < len(labels):
        raise UserError(f"`images` must be from 1 to {len(labels) - 1}, found {settings.images}.")
    pixels = np.concatenate([part.images for part in parts]).astype(np.float64)
    rng = np.random.default_rng(0)
    # The same in all three colours: averaged over them it would be less.
    noise = rng.normal(0, settings.noise, (*pixels.shape[:3], 1))
    images = np.clip(np.round(pixels + noise), 0, 255).astype(np.uint8)
    cut = settings.images
    return Split(images[:cut], labels[:cut]), Split(images[cut:], labels[cut:])


def all_networks(space: Space) -> list[Arch]:
    """Returns every distinct network of a space, in the order of its options."""
    everything = itertools.product(*(range(len(choice.options)) for choice in space.choices))
    return list(dict.fromkeys(space.canonical(arch) for arch in everything))


def train_grid(
    space: Space, settings: GridSettings, folder: Path, *, report: Report = lambda done, total, what: None
) -> dict[Arch, list[float]]:
    """Returns the accuracies of every network, one for each seed.

    Args:
        folder: keeps what is done, so that the training can be interrupted.

    Raises:
        UserError: where the folder holds networks that were trained otherwise.
    """
    # More seeds may be asked for later; what there is stays true.
    claim(folder, dataclasses.asdict(settings) | {"space": space.fingerprint(), "seeds": None})
    archs = all_networks(space)
    training, test = hard_digits(settings, space.image[0])
    trainer = _trainer(space, training, test, settings)
    found: dict[Arch, list[float]] = {arch: [] for arch in archs}
    chunks = [archs[i : i + _CHUNK] for i in range(0, len(archs), _CHUNK)]
    for seed in range(settings.seeds):
        for i, chunk in enumerate(chunks):
            report(
                (seed * len(chunks) + i) * _CHUNK,
                settings.seeds * len(archs),
                f"seed {seed + 1} of {settings.seeds}",
            )
            path = folder / f"seed-{seed}-{i}.json"
            if not path.exists():
                accuracies = trainer(seed, chunk).tolist()
                files.write(
                    path, json.dumps(dict(zip(map(space.text, chunk), accuracies, strict=True))) + "\n"
                )
            known = json.loads(path.read_text(encoding="utf-8"))
            for arch in chunk:
                found[arch].append(known[space.text(arch)])
    report(settings.seeds * len(archs), settings.seeds * len(archs), "")
    return found


def trained_table(space: Space, settings: GridSettings, accuracies: dict[Arch, list[float]]) -> Table:
    """Returns the table of a space, without latencies yet."""
    archs = tuple(accuracies)
    layers = [space.layers(arch) for arch in archs]
    return Table(
        name=space.name,
        choices=space.choices,
        archs=archs,
        accuracy=np.array([accuracies[arch] for arch in archs]),
        costs={
            "macs": np.array([sum(layer.macs for layer in one) for one in layers], float),
            "parameters": np.array([sum(layer.parameters for layer in one) for one in layers], float),
        },
        how={
            "space": space.fingerprint(),
            "version": __version__,
            "trained": dataclasses.asdict(settings),
        },
    )


def measured_table(space: Space, table: Table, settings: MeasureSettings) -> Table:
    """Returns the table with the milliseconds of every network, measured here in turns on one core.

    How long a network takes does not depend on what it has learned: its weights are random.

    Raises:
        UserError: where the table is of another space.
    """
    check_space(space, table)
    models = [to_bytes(random_network(space.layers(arch), seed=0)) for arch in table.archs]
    ms = interleaved(models, settings)
    measured = {"machine": native.cpu(), "build": native.build_id(), **dataclasses.asdict(settings)}
    return replace(
        table,
        costs={**table.costs, "latency_ms": ms},
        device=native.cpu()["cpu"],
        how={**table.how, "measured": measured},
    )


def check_space(space: Space, table: Table) -> None:
    """Raises `UserError` where a table is of another space."""
    if table.how.get("space") != space.fingerprint():
        raise UserError(
            f"The table {table.name!r} is of another space than {space.name!r}, or of another version of it; "
            "make it again: sparsenas bench grid."
        )


def _trainer(
    space: Space, training: Split, test: Split, settings: GridSettings
) -> Callable[[int, Sequence[Arch]], np.ndarray]:
    """Returns a function that trains networks with a seed and tests them: accuracies [len(archs)]."""
    net = supernet(space)
    zeros = [i for i, kind in enumerate(kinds(space)) if kind == {"sparsities"}]
    dense_steps = _steps(net, training, settings, settings.dense_steps)
    sparse_steps = _steps(net, training, settings, settings.sparse_steps)
    images = jnp.asarray(test.images)

    @jax.jit
    def classify(variables: Variables, choices: Choices) -> jax.Array:
        # One after the other: together, many take longer on a CPU.
        return lax.map(
            lambda one: net.apply(one[0], to_float(images), one[1], train=False, hard=True)[0].argmax(-1),
            (variables, choices),
        )

    starts: dict[tuple[int, Arch], Variables] = {}

    def dense(seed: int, archs: Sequence[Arch]) -> list[Variables]:
        """Returns the networks before they have zeros."""
        wanted = [tuple(0 if i in zeros else one for i, one in enumerate(arch)) for arch in archs]
        for arch in dict.fromkeys(wanted):
            if (seed, arch) not in starts:
                variables = net.init(np.random.default_rng(seed))
                drawn = _batches(training, settings, settings.dense_steps, seed=(seed, 0))
                trained = dense_steps(_stacked([variables]), batch_one_hot(space, [arch]), drawn)
                (one,) = _apart(jax.device_get(trained), 1)
                starts[seed, arch] = refresh_ranks(space, one)
        return [starts[seed, arch] for arch in wanted]

    def accuracies(seed: int, archs: Sequence[Arch]) -> np.ndarray:
        filled = [*archs, *[archs[-1]] * (_CHUNK - len(archs))]
        choices = batch_one_hot(space, filled)
        drawn = _batches(training, settings, settings.sparse_steps, seed=(seed, 1))
        trained = sparse_steps(_stacked(dense(seed, filled)), choices, drawn)
        classes = np.asarray(classify(trained, choices))[: len(archs)]
        return (classes == test.labels).mean(1)

    return accuracies


def _batches(split: Split, settings: GridSettings, steps: int, *, seed: tuple[int, int]) -> Batch:
    """Returns the batches of all steps, the same for every network."""
    drawn = batches_of(
        len(split.images), batch=settings.batch, shift=1, flip=False, rng=np.random.default_rng(seed)
    )
    return jax.tree.map(lambda *a: np.stack(a), *itertools.islice(drawn, steps))


def _steps(
    net: PureModule, split: Split, settings: GridSettings, steps: int
) -> Callable[[Variables, Choices, Batch], Variables]:
    """Returns a function that trains stacked networks, one after the other."""
    optimizer = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, steps))
    images, labels = jnp.asarray(split.images), jnp.asarray(split.labels)

    def train(variables: Variables, choices: Choices, batches: Batch) -> Variables:
        def step(carry: tuple, batch: Batch) -> tuple[tuple, None]:
            params, stats, moments = carry

            def loss(params: PyTree) -> tuple[jax.Array, PyTree]:
                used = variables._replace(params=params, stats=stats)
                x = to_float(augmented(images, batch))
                outputs, seen = net.apply(used, x, choices, train=True, hard=True)
                wanted = labels[batch.indices]
                return optax.softmax_cross_entropy_with_integer_labels(outputs, wanted).mean(), seen

            gradients, seen = jax.grad(loss, has_aux=True)(params)
            updates, moments = optimizer.update(gradients, moments)
            stats = optax.incremental_update(seen, stats, _STATS_RATE)
            return (optax.apply_updates(params, updates), stats, moments), None

        start = (variables.params, variables.stats, optimizer.init(variables.params))
        (params, stats, _), _ = lax.scan(step, start, batches)
        return variables._replace(params=params, stats=stats)

    @jax.jit
    def train_all(variables: Variables, choices: Choices, batches: Batch) -> Variables:
        return lax.map(lambda one: train(*one, batches), (variables, choices))

    return train_all


def _stacked(many: Sequence[Variables]) -> Variables:
    return jax.tree.map(lambda *a: np.stack(a), *many)


def _apart(stacked: Variables, count: int) -> list[Variables]:
    return [jax.tree.map(lambda a, i=i: a[i], stacked) for i in range(count)]
