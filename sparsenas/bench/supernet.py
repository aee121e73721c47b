"""What a supernet costs, and whether it ranks networks as training each of them does."""

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from scipy.stats import kendalltau

from sparsenas import __version__, checkpoint, files, native, train
from sparsenas.bench.claim import claim
from sparsenas.data import Data, Split, load
from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Arch, Space
from sparsenas.supernet import Choices, batch_one_hot, one_hot, supernet
from sparsenas.train.batches import EVALUATION_BATCH, in_batches, to_float
from sparsenas.train.loop import adamw, one_pass

Report = Callable[[int, int, str], None]
"""`(done, in all, what)`."""

# Of each stand-alone network; its accuracy is their mean.
SEEDS = (0, 1)
# Images that nothing learned from, on which supernet and stand-alone networks are compared.
_COMPARED = 4_000
_STEPS_PER_VISIT = 8
_EVALUATED = 64
_COMPILED_FOR = 100


@dataclass(frozen=True, kw_only=True)
class TauSettings:
    """How supernet and stand-alone networks are trained to be compared.

    Attributes:
        architectures: random ones of the space.
        limit: at most so many images of each split.
        supernet: how the supernet is trained.
        network: how each network alone is trained; short enough that they differ.
        seed: of the architectures and of the supernet.
    """

    architectures: int = 40
    limit: int = 10_000
    supernet: train.SupernetSettings = field(default_factory=lambda: train.SupernetSettings(steps=600))
    network: train.NetworkSettings = field(default_factory=lambda: train.NetworkSettings(steps=50))
    seed: int = 0


def bench_supernet(
    space: Space,
    *,
    datasets: Sequence[str],
    settings: TauSettings,
    folder: Path,
    rounds: int = 9,
    report: Report = lambda done, total, what: None,
) -> dict[str, Any]:
    """Returns all figures, as the JSON file holds them.

    Args:
        datasets: as `data.load` takes them. What is trained for them is kept in `folder`, so that an
            interrupted benchmark goes on.
        rounds: visits of each step and evaluation; times are medians.

    Raises:
        UserError: where the folder holds networks of other settings.
    """
    found = {
        "machine": native.cpu(),
        "version": __version__,
        "space": space.name,
        **step_times(space, batch=settings.supernet.batch, rounds=rounds),
        "compilations": compilations(space),
        **evaluation_times(space, rounds=max(rounds // 3, 1)),
    }
    tau = [
        rank_correlation(space, dataset, settings, folder, report=report).as_json() for dataset in datasets
    ]
    return found | {"tau": tau}


def step_times(space: Space, *, batch: int, rounds: int) -> dict[str, float]:
    """Measures a step of training in milliseconds, in turns.

    Returns:
        `step_ms` of the supernet as random networks, `supernet_as_largest_ms` of it as the largest one,
        `largest_step_ms` of the largest network alone and dense, `step_ratio` of the first to the last.
    """
    alone = space.fixed(space.largest, dense=True)
    rng = np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(_STEPS_PER_VISIT * rounds)]
    visits = [
        batch_one_hot(space, archs[i : i + _STEPS_PER_VISIT]) for i in range(0, len(archs), _STEPS_PER_VISIT)
    ]
    as_largest = batch_one_hot(space, [space.largest] * _STEPS_PER_VISIT)
    # One compilation for both ways of the supernet, as in training.
    shared, plain = _steps(space, batch), _steps(alone, batch)
    shared(visits[0])
    plain(())
    times: dict[str, list[float]] = {"random": [], "largest": [], "alone": []}
    for visit in visits:
        for name, steps, choices in (
            ("random", shared, visit),
            ("largest", shared, as_largest),
            ("alone", plain, ()),
        ):
            started = time.perf_counter()
            steps(choices)
            times[name].append((time.perf_counter() - started) / _STEPS_PER_VISIT * 1e3)
    # A visit is the mean of several networks, as they differ.
    ms = {name: float(np.median(values)) for name, values in times.items()}
    return {
        "step_ms": ms["random"],
        "supernet_as_largest_ms": ms["largest"],
        "largest_step_ms": ms["alone"],
        "step_ratio": ms["random"] / ms["alone"],
    }


def _steps(space: Space, batch: int) -> Callable[[Choices], None]:
    """Returns a function that trains some steps in one call, with choices [steps, options]."""
    net = supernet(space)
    variables = jax.device_put(net.init(np.random.default_rng(0)))
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.random((batch, *space.image), np.float32))
    labels = jnp.asarray(rng.integers(0, space.classes, batch), jnp.int32)
    optimizer = adamw(train.SupernetSettings(batch=batch))
    moments = optimizer.init(variables.params)
    passes = one_pass(net, hard=True)

    def loss_of(outputs: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels).mean()

    @jax.jit
    def run(params: Any, moments: optax.OptState, choices: Choices) -> tuple:
        def step(i: int, state: tuple) -> tuple:
            params, moments = state
            options = tuple(option[i] for option in choices)
            found = passes(variables._replace(params=params), x, options, loss_of)
            updates, moments = optimizer.update(found.gradients, moments, params)
            return optax.apply_updates(params, updates), moments

        return lax.fori_loop(0, _STEPS_PER_VISIT, step, (params, moments))

    return lambda choices: jax.block_until_ready(run(variables.params, moments, choices))


def compilations(space: Space) -> int:
    """Returns how often the supernet is compiled for 100 random architectures."""
    net = supernet(space)
    variables = net.init(np.random.default_rng(0))
    x = np.zeros((1, *space.image), np.float32)
    traced = 0

    @jax.jit
    def run(choices: Choices) -> jax.Array:
        nonlocal traced
        traced += 1  # Each trace is compiled once.
        return net.apply(variables, x, choices, train=False)[0]

    rng = np.random.default_rng(0)
    for _ in range(_COMPILED_FOR):
        run(one_hot(space, space.sample(rng)))
    return traced


def evaluation_times(space: Space, *, rounds: int, images: int = 360) -> dict[str, float]:
    """Measures the evaluation of 64 random architectures, in one call and one by one, in turns.

    Returns:
        `one_by_one_ms` and `together_ms` for each architecture, and `vmapped_speedup`, their ratio.
    """
    net = supernet(space)
    variables = net.init(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    splits = [
        Split(rng.integers(0, 256, (n, *space.image), np.uint8), rng.integers(0, space.classes, n))
        for n in (128, images)
    ]
    archs = [space.sample(rng) for _ in range(_EVALUATED)]
    alone = _one_by_one(net, space, variables, *splits)
    together = train.supernet_evaluator(
        net, space, variables, calibration=splits[0], validation=splits[1], chunk=_EVALUATED
    )
    times: dict[Any, list[float]] = {alone: [], together: []}
    for evaluate in times:
        evaluate(archs[:1])
    for _ in range(rounds):
        for evaluate, seconds in times.items():
            started = time.perf_counter()
            evaluate(archs)
            seconds.append(time.perf_counter() - started)
    one_by_one_ms, together_ms = (float(np.median(seconds)) / len(archs) * 1e3 for seconds in times.values())
    return {
        "one_by_one_ms": one_by_one_ms,
        "together_ms": together_ms,
        "vmapped_speedup": one_by_one_ms / together_ms,
    }


def _one_by_one(
    net: PureModule, space: Space, variables: Variables, calibration: Split, validation: Split
) -> train.Evaluator:
    """Scores architectures in the plainest way: one compiled call for each."""
    images = to_float(jnp.asarray(calibration.images))
    batches = jnp.asarray(in_batches(validation.images, EVALUATION_BATCH))

    @jax.jit
    def classify(choices: Choices) -> jax.Array:
        _, stats = net.apply(variables, images, choices, train=True, hard=True)
        used = variables._replace(stats=stats)
        return lax.map(
            lambda batch: net.apply(used, to_float(batch), choices, train=False, hard=True)[0].argmax(-1),
            batches,
        ).reshape(-1)

    def evaluate(archs: Sequence[Arch]) -> np.ndarray:
        count = len(validation.labels)
        return np.array(
            [(classify(one_hot(space, arch))[:count] == validation.labels).mean() for arch in archs]
        )

    return evaluate


@dataclass(frozen=True, kw_only=True)
class TauRecord:
    """How much like their own training a supernet ranks networks, and multiply-accumulates alone do.

    Attributes:
        tau: Kendall's, of the supernet's accuracies and those of networks trained alone; None where all are
            equal.
        tau_flops: of multiply-accumulates, zeros left out, and the same.
        tau_seeds: of the trainings with one seed and those with the other: what chance leaves of a ranking.
        spread: between the best and the worst network trained alone, in points of accuracy.
    """

    dataset: str
    architectures: int
    tau: float | None
    tau_flops: float | None
    tau_seeds: float | None
    spread: float

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def rank_correlation(
    space: Space,
    dataset: str,
    settings: TauSettings,
    folder: Path,
    *,
    report: Report = lambda done, total, what: None,
) -> TauRecord:
    """Trains a supernet and networks alone, and compares how they rank.

    Args:
        folder: keeps the supernet and each network's accuracy. Other supernets are compared with the same
            networks.
    """
    data = load(dataset, size=space.image[:2], seed=settings.seed, limit=settings.limit)
    space = space.with_classes(len(data.classes))
    name = Path(dataset).name
    folder = folder / name
    # More architectures, or another supernet, may be asked for later; what there is stays true.
    claim(
        folder,
        dataclasses.asdict(settings)
        | {"space": space.fingerprint(), "architectures": None, "supernet": None},
    )
    rng = np.random.default_rng(settings.seed)
    archs = _distinct(space, settings.architectures, rng)
    total = len(archs) * len(SEEDS) + 1
    report(0, total, f"{name}: supernet")
    compared = _compared(data)
    shared = _shared_accuracies(space, data, compared, archs, settings, folder)
    alone = np.zeros((len(archs), len(SEEDS)))
    for i, arch in enumerate(archs):
        for j, seed in enumerate(SEEDS):
            report(1 + i * len(SEEDS) + j, total, f"{name}: network {space.text(arch)}, seed {seed}")
            alone[i, j] = _alone_accuracy(space, data, compared, arch, settings, seed, folder)
    report(total, total, "")
    accuracies = alone.mean(1)
    macs = [sum(layer.macs for layer in space.layers(arch)) for arch in archs]
    return TauRecord(
        dataset=name,
        architectures=len(archs),
        tau=_tau(shared, accuracies),
        tau_flops=_tau(macs, accuracies),
        tau_seeds=_tau(alone[:, 0], alone[:, 1]),
        spread=float(np.ptp(accuracies) * 100),
    )


def _compared(data: Data) -> Split:
    """Returns images of validation and test; nothing is chosen here, and few images tell ranks less well."""
    parts = (data.validation, data.test)
    images, labels = (np.concatenate([getattr(part, of) for part in parts]) for of in ("images", "labels"))
    # Both parts are in an order drawn at random.
    chosen = np.linspace(0, len(labels) - 1, min(_COMPARED, len(labels))).round().astype(int)
    return Split(images[chosen], labels[chosen])


def _tau(found: Sequence[float], expected: Sequence[float]) -> float | None:
    tau = float(kendalltau(found, expected).statistic)
    return None if math.isnan(tau) else tau


def _distinct(space: Space, count: int, rng: np.random.Generator) -> list[Arch]:
    if count > space.size:
        raise UserError(f"Space {space.name!r} has at most {space.size} networks, asked for {count}.")
    found: dict[Arch, None] = {}
    for _ in range(100 * count):
        found[space.sample(rng)] = None
        if len(found) == count:
            return list(found)
    raise UserError(f"Space {space.name!r} has only about {len(found)} networks, asked for {count}.")


def _shared_accuracies(
    space: Space, data: Data, compared: Split, archs: Sequence[Arch], settings: TauSettings, folder: Path
) -> np.ndarray:
    net = supernet(space)
    path = folder / f"supernet-{_digest(repr(settings.supernet))}.safetensors"
    if path.exists():
        arrays, _ = checkpoint.load(path)
        variables = checkpoint.from_arrays(net.init(np.random.default_rng(0)), arrays, source=str(path))
    else:
        variables = train.train_supernet(net, space, data.train, settings.supernet, seed=settings.seed)
        checkpoint.save(path, checkpoint.to_arrays(variables), about={"space": space.fingerprint()})
    evaluate = train.supernet_evaluator(net, space, variables, calibration=data.train, validation=compared)
    return evaluate(archs)


def _digest(text: str) -> str:
    """Returns a short name: those of architectures of large spaces are longer than file systems take."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _alone_accuracy(
    space: Space, data: Data, compared: Split, arch: Arch, settings: TauSettings, seed: int, folder: Path
) -> float:
    """Trains a network, or reads what an earlier call found."""
    path = folder / "alone" / f"{_digest(space.text(arch))}-{seed}.json"
    if path.exists():
        try:
            return float(json.loads(path.read_text(encoding="utf-8"))["accuracy"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"Cannot read {path}: {error}; remove it to train the network again.") from None
    fixed = space.fixed(arch)
    variables = train.train_network(fixed, data.train, settings.network, seed=seed)
    accuracy = train.accuracy(supernet(fixed), variables, compared)
    record = {"arch": space.text(arch), "seed": seed, "accuracy": accuracy}
    files.write(path, json.dumps(record) + "\n")
    return accuracy
