"""The main path: from a space and a data set to the fastest network that is still accurate.

A run is a folder. Every stage leaves its result there, so that a run that was stopped goes on where it was:
config.json, trials.sqlite, checkpoints/, candidates/, best/, summary.json, report.html.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from sparsenas import __version__, candidates, checkpoint, files, native, train
from sparsenas.candidates import Candidate, Trained
from sparsenas.data import Data, load
from sparsenas.descent import descend
from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.network import Network, random_network
from sparsenas.export.snas import to_bytes
from sparsenas.latency.devices import ready_device
from sparsenas.latency.library import LOCAL, cache_folder
from sparsenas.latency.measure import MeasureSettings, interleaved
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.tabulate import Tabulated
from sparsenas.nn.pure import Variables
from sparsenas.progress import Progress, Silent, Update
from sparsenas.report.charts import figure_svg
from sparsenas.report.page import write_report
from sparsenas.report.run import Finalist, LayerTime, RunReport, TrialPoint
from sparsenas.report.summary import Summary, write_summary
from sparsenas.reward import Reward, mnasnet, of_metrics, tunas
from sparsenas.search import search
from sparsenas.space import Arch, Layer, Space
from sparsenas.strategies.base import Strategy
from sparsenas.strategies.differentiable.catalog import DIFFERENTIABLE
from sparsenas.strategies.evolution import regularized_evolution
from sparsenas.strategies.random import random
from sparsenas.supernet import supernet
from sparsenas.train import ArchitectureSettings, NetworkSettings, SupernetSettings
from sparsenas.trials import Trial, TrialLog

STRATEGIES: dict[str, Callable[[Space], Strategy]] = {
    "regularized_evolution": regularized_evolution,
    "random": random,
}


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """All that determines a search.

    Attributes:
        space: a space by name, or a Python file that defines SPACE.
        side: pixels of the image's side; the space's usual one if left out.
        dataset: `digits`, or a folder or archive with train/<class>/* and test/<class>/*.
        limit: at most this many images of each split, for a quick look.
        device: the latency table: `local` (measured here when needed), a name, or a table's file.
        strategy: `regularized_evolution` or `random`; or one that trains its beliefs along with a supernet:
            `darts`, `darts2` (second order), `gumbel` or `proxyless`, which need no trials, batch and reward.
        reward: how accuracy and latency become one number.
        target_ms: latency to search for; half of what the largest network takes without zeros if left out.
        margin: share of the target that is kept free for the prediction's error when finalists are chosen.
        trials: architectures to evaluate with the supernet.
        batch: architectures that are proposed and evaluated together.
        finalists: architectures that are trained from scratch.
        seed: of everything that is random.
    """

    space: str = "tiny"
    side: int | None = None
    dataset: str = "digits"
    limit: int | None = None
    device: str = LOCAL
    strategy: str = "regularized_evolution"
    reward: Literal["tunas", "mnasnet"] = "tunas"
    target_ms: float | None = None
    margin: float = 0.04
    trials: int = 192
    batch: int = 8
    finalists: int = 3
    seed: int = 0
    supernet: SupernetSettings = field(default_factory=SupernetSettings)
    architecture: ArchitectureSettings = field(default_factory=ArchitectureSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    measure: MeasureSettings = field(default_factory=MeasureSettings)

    def __post_init__(self) -> None:
        for name in ("trials", "batch", "finalists"):
            if getattr(self, name) < 1:
                raise UserError(f"`{name}` must be at least 1, found {getattr(self, name)}.")
        if self.target_ms is not None and not self.target_ms > 0:
            raise UserError(f"`target_ms` must be above 0, found {self.target_ms}.")
        if self.strategy not in STRATEGIES and self.strategy not in DIFFERENTIABLE:
            known = ", ".join((*STRATEGIES, *DIFFERENTIABLE))
            raise UserError(f"No strategy named {self.strategy!r}. There are: {known}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A finalist with its model file and times, next to its dense twin's."""

    trained: Trained
    network: Network
    model: bytes
    latency_ms_predicted: float
    latency_ms: float
    dense_latency_ms: float


def run(
    settings: SearchSettings,
    space: Space,
    folder: Path,
    *,
    workers: int,
    command: str = "",
    progress: Progress | None = None,
) -> Summary:
    """Searches a space, trains and measures the finalists, and leaves the winner in `folder`.

    Args:
        space: what `settings.space` names.
        folder: made by `open_run`; what an earlier start left there is not done again.
        workers: candidates trained at once, on a local Ray; 0 trains them in this process.
    """
    progress = progress or Silent()
    started = time.perf_counter()
    with progress.stage(f"Data set {settings.dataset}") as update:
        data = load(settings.dataset, size=space.image[:2], seed=settings.seed, limit=settings.limit)
        update(1, 1, _counts(data))
    space = space.with_classes(len(data.classes))
    with progress.stage(f"Latency table of device {settings.device}") as update:
        table = ready_device(settings.device, space, report=lambda done, total: update(done, total, ""))
        update(1, 1, f"{len(table.table.layers)} layers, {table.machine['isa']}")
    latency = table.tabulate(space)
    target_ms = choose_target(settings, space, table, latency)

    log = TrialLog(folder / "trials.sqlite")
    with candidates.workers(workers, compilation_cache=cache_folder() / "compiled") as count:
        if settings.strategy in DIFFERENTIABLE:
            with progress.stage(f"Train supernet and architecture, target {target_ms:.4f} ms") as update:
                trials = _descend(settings, space, data, latency, target_ms, log, folder, update)
        else:
            with progress.stage("Train the supernet") as update:
                variables = _supernet(settings, space, data, folder, update)
            with progress.stage(f"Search, target {target_ms:.4f} ms") as update:
                trials = _search(settings, space, data, variables, latency, target_ms, log, update)
        log.close()
        search_seconds = time.perf_counter() - started
        chosen = choose_finalists(
            trials, target_ms=target_ms * (1 - settings.margin), count=settings.finalists
        )
        with progress.stage("Train finalists and the dense twin from scratch") as update:
            jobs = [Candidate(arch=space.parse(trial.arch)) for trial in chosen]

            def train_all(jobs: Sequence[Candidate]) -> dict[Candidate, Trained]:
                return _candidates(settings, space, data, jobs, folder, count, update)

            trained = train_all(jobs[:-1])
            # The twin of the best so far trains beside the last one; another winner's comes after.
            favourite = max(trained.values(), key=lambda one: one.accuracy, default=None)
            twins = [dataclasses.replace(favourite.candidate, dense=True)] if favourite else []
            trained |= train_all([*jobs[-1:], *twins])
            finalists = measure_finalists(settings, space, data, table, [trained[job] for job in jobs])
            best = choose_winner(finalists, target_ms=target_ms)
            twin = dataclasses.replace(best.trained.candidate, dense=True)
            dense = trained[twin] if twin in trained else train_all([twin])[twin]
            update(1, 1, f"{best.latency_ms:.4f} ms, dense {best.dense_latency_ms:.4f} ms, both measured")

    with progress.stage("Check the winner against JAX and write the report") as update:
        summary, report = _conclude(
            settings,
            space,
            data,
            table,
            target_ms,
            trials,
            finalists,
            best,
            dense,
            search_seconds,
            command,
            folder,
        )
        write_summary(summary, folder / "summary.json")
        write_report(report, folder / "report.html")
        files.write(folder / "search.svg", figure_svg(report))
        update(1, 1, str(folder / "report.html"))
    return summary


def open_run(folder: Path, settings: SearchSettings) -> None:
    """Makes a run's folder; raises `UserError` where it exists."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UserError(
            f"The run folder {str(folder)!r} exists; give another name with --out, or go on with it: "
            f"sparsenas search --resume {folder}"
        ) from None
    except OSError as error:
        raise UserError(f"Cannot make the run folder {str(folder)!r}: {error.strerror}.") from None
    config = {
        "settings": dataclasses.asdict(settings),
        "versions": versions(),
        "machine": native.cpu(),
        "build": native.build_id(),
    }
    files.write(folder / "config.json", json.dumps(config, indent=1) + "\n")


def load_settings(folder: Path) -> SearchSettings:
    """Reads the settings of a run; raises `UserError` where the folder is not one."""
    path = folder / "config.json"
    try:
        fields = json.loads(path.read_text())["settings"]
        return SearchSettings(
            **{
                **fields,
                "supernet": SupernetSettings(**fields["supernet"]),
                "architecture": ArchitectureSettings(**fields["architecture"]),
                "network": NetworkSettings(**fields["network"]),
                "measure": MeasureSettings(**fields["measure"]),
            }
        )
    except OSError:
        raise UserError(f"Expected a run folder with a config.json, found none in {str(folder)!r}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"Cannot read the run's settings {path}: {error}.") from None


def choose_target(settings: SearchSettings, space: Space, table: LatencyModel, latency: Tabulated) -> float:
    """Returns the target in milliseconds; raises `UserError` where no architecture reaches it."""
    target_ms = settings.target_ms
    if target_ms is None:
        target_ms = table.predict([layer.dense() for layer in space.layers(space.largest)]) / 2
    arch, fastest_ms = latency.fastest(len(space.choices))
    if target_ms * (1 - settings.margin) < fastest_ms:
        raise UserError(
            f"No architecture of space {space.name!r} reaches {target_ms:.4f} ms on device "
            f"{table.device!r}: "
            f"the fastest, {space.text(space.canonical(arch))}, is predicted to take {fastest_ms:.4f} ms; "
            f"ask for at least --target-ms {fastest_ms / (1 - settings.margin) * 1.01:.4f}."
        )
    return target_ms


def choose_reward(settings: SearchSettings, target_ms: float) -> Reward:
    """Returns the reward that the settings name."""
    return of_metrics({"tunas": tunas, "mnasnet": mnasnet}[settings.reward](target_ms))


def choose_finalists(trials: Sequence[Trial], *, target_ms: float, count: int) -> list[Trial]:
    """Returns the most accurate distinct trials within the target, the faster one first among equals."""
    distinct = {trial.arch: trial for trial in reversed(trials)}.values()
    within = [trial for trial in distinct if trial.metrics["latency_ms"] <= target_ms]
    if not within:
        fastest = min(trial.metrics["latency_ms"] for trial in distinct)
        raise UserError(
            f"None of {len(trials)} trials met {target_ms:.4f} ms, the fastest takes {fastest:.4f} ms; "
            "search longer (--trials) or for a higher --target-ms."
        )
    return sorted(within, key=lambda t: (-t.metrics["accuracy"], t.metrics["latency_ms"], t.number))[:count]


def choose_winner(finalists: Sequence[Measured], *, target_ms: float) -> Measured:
    """Returns the most accurate finalist that was measured within the target, else the fastest."""
    within = [finalist for finalist in finalists if finalist.latency_ms <= target_ms]
    if not within:
        return min(finalists, key=lambda finalist: finalist.latency_ms)
    return max(within, key=lambda finalist: (finalist.trained.accuracy, -finalist.latency_ms))


def measure_finalists(
    settings: SearchSettings, space: Space, data: Data, table: LatencyModel, trained: Sequence[Trained]
) -> list[Measured]:
    """Folds finalists and measures them and their dense twins in turn, whole networks on one core."""
    networks = [_folded(space, one, data.classes) for one in trained]
    models = [to_bytes(network) for network in networks]
    # How long a dense network takes does not depend on what it has learned.
    twins = [
        to_bytes(random_network([layer.dense() for layer in network.layers], seed=settings.seed))
        for network in networks
    ]
    ms = interleaved([*models, *twins], settings.measure)
    return [
        Measured(
            trained=one,
            network=network,
            model=model,
            latency_ms_predicted=table.predict(network.layers),
            latency_ms=float(ms[i]),
            dense_latency_ms=float(ms[i + len(models)]),
        )
        for i, (one, network, model) in enumerate(zip(trained, networks, models, strict=True))
    ]


def versions() -> dict[str, str]:
    """Returns the versions that a result depends on."""
    import flax
    import jax
    import optax
    import ray

    return {
        "sparsenas": __version__,
        "python": sys.version.split()[0],
        "jax": jax.__version__,
        "flax": flax.__version__,
        "optax": optax.__version__,
        "ray": ray.__version__,
        "numpy": np.__version__,
    }


def _descend(
    settings: SearchSettings,
    space: Space,
    data: Data,
    latency: Tabulated,
    target_ms: float,
    log: TrialLog,
    folder: Path,
    update: Update,
) -> list[Trial]:
    return descend(
        space,
        settings.strategy,
        DIFFERENTIABLE[settings.strategy],
        data,
        latency,
        log,
        folder,
        settings.architecture,
        target_ms=target_ms * (1 - settings.margin),
        seed=settings.seed,
        update=update,
    )


def _supernet(settings: SearchSettings, space: Space, data: Data, folder: Path, update: Update) -> Variables:
    net = supernet(space)
    path = folder / "checkpoints" / "supernet.safetensors"
    if path.exists():
        arrays, about = checkpoint.load(path)
        if about.get("space") != space.fingerprint():
            raise UserError(f"{path} is of another space than {space.name!r}; remove it to train it again.")
        return checkpoint.from_arrays(
            net.init(np.random.default_rng(settings.seed)), arrays, source=str(path)
        )
    variables = train.train_supernet(
        net, space, data.train, settings.supernet, seed=settings.seed, report=_losses(update)
    )
    checkpoint.save(path, checkpoint.to_arrays(variables), about={"space": space.fingerprint()})
    return variables


def _search(
    settings: SearchSettings,
    space: Space,
    data: Data,
    variables: Variables,
    latency: Tabulated,
    target_ms: float,
    log: TrialLog,
    update: Update,
) -> list[Trial]:
    accuracies = train.supernet_evaluator(
        supernet(space),
        space,
        variables,
        calibration=data.train,
        validation=data.validation,
        chunk=settings.batch,
    )

    def evaluate(archs: Sequence[Arch]) -> list[dict[str, float]]:
        return [
            {"accuracy": float(accuracy), "latency_ms": float(ms)}
            for accuracy, ms in zip(accuracies(archs), latency(archs), strict=True)
        ]

    trials: list[Trial] = []
    for trials in search(
        space,
        STRATEGIES[settings.strategy](space),
        choose_reward(settings, target_ms),
        evaluate,
        log,
        trials=settings.trials,
        batch=settings.batch,
        seed=settings.seed,
    ):
        within = [t.metrics["accuracy"] for t in trials if t.metrics["latency_ms"] <= target_ms]
        note = f"best within target {max(within):.1%}" if within else "none within target yet"
        update(len(trials), settings.trials, note)
    return trials


def _candidates(
    settings: SearchSettings,
    space: Space,
    data: Data,
    jobs: Sequence[Candidate],
    folder: Path,
    workers: int,
    update: Update,
) -> dict[Candidate, Trained]:
    """Trains candidates that have no result in the folder yet."""
    done: dict[Candidate, Trained] = {}
    for job in jobs:
        path = folder / "candidates" / f"{job.name(space)}.safetensors"
        if path.exists():
            arrays, about = checkpoint.load(path)
            done[job] = Trained(candidate=job, arrays=arrays, accuracy=float(about["accuracy"]))
    update(len(done), len(jobs), "")
    missing = [job for job in dict.fromkeys(jobs) if job not in done]
    for one in candidates.train_candidates(
        space, missing, data.train, data.validation, settings.network, seed=settings.seed, workers=workers
    ):
        path = folder / "candidates" / f"{one.candidate.name(space)}.safetensors"
        checkpoint.save(path, one.arrays, about={"accuracy": repr(one.accuracy)})
        done[one.candidate] = one
        update(len(done), len(jobs), f"{one.accuracy:.1%} on validation")
    return done


def _folded(space: Space, trained: Trained, classes: tuple[str, ...]) -> Network:
    fixed = trained.candidate.space(space)
    return fold(fixed, _variables(fixed, trained), classes=classes)


def _variables(fixed: Space, trained: Trained) -> Variables:
    return checkpoint.from_arrays(
        supernet(fixed).init(np.random.default_rng(0)), trained.arrays, source="the trained candidate"
    )


def _conclude(
    settings: SearchSettings,
    space: Space,
    data: Data,
    table: LatencyModel,
    target_ms: float,
    trials: Sequence[Trial],
    finalists: Sequence[Measured],
    best: Measured,
    dense: Trained,
    search_seconds: float,
    command: str,
    folder: Path,
) -> tuple[Summary, RunReport]:
    """Writes the winner's files and says what was found."""
    arch = best.trained.candidate.arch
    fixed = best.trained.candidate.space(space)
    expected = train.logits(supernet(fixed), _variables(fixed, best.trained), data.test.images)
    runtime = native.Model.from_bytes(best.model)
    found = runtime.run(data.test.images.astype(np.float32) / 255)
    if not np.array_equal(found.argmax(1), expected.argmax(1)):
        differing = int((found.argmax(1) != expected.argmax(1)).sum())
        raise RuntimeError(
            f"The native runtime and JAX disagree on {differing} of {len(found)} test images; this is a bug, "
            f"please report it with the folder {folder}."
        )
    dense_network = _folded(space, dense, data.classes)
    dense_model = to_bytes(dense_network)
    dense_runtime = native.Model.from_bytes(dense_model)
    dense_logits = dense_runtime.run(data.test.images.astype(np.float32) / 255)

    files.write(folder / "best" / "model.snas", best.model)
    files.write(folder / "best" / "dense.snas", dense_model)
    files.write(
        folder / "best" / "arch.json",
        json.dumps(
            {"space": settings.space, "arch": space.text(arch), "options": space.describe(arch)}, indent=1
        )
        + "\n",
    )
    checkpoint.save(
        folder / "best" / "weights.safetensors", best.trained.arrays, about={"arch": space.text(arch)}
    )

    summary = Summary(
        dataset=settings.dataset,
        space=space.name,
        strategy=settings.strategy,
        device=table.device,
        seed=settings.seed,
        trials=len(trials),
        search_seconds=round(search_seconds, 2),
        arch=space.text(arch),
        accuracy=_accuracy(found, data.test.labels),
        dense_accuracy=_accuracy(dense_logits, data.test.labels),
        latency_ms_predicted=best.latency_ms_predicted,
        latency_ms_measured=best.latency_ms,
        dense_latency_ms_measured=best.dense_latency_ms,
        speedup=best.dense_latency_ms / best.latency_ms,
        target_latency_ms=target_ms,
        parity_max_abs_error=float(np.abs(found - expected).max()),
        file_bytes=len(best.model),
        dense_file_bytes=len(dense_model),
    )
    report = RunReport(
        summary=summary,
        trials=tuple(
            TrialPoint(
                arch=trial.arch,
                options=space.describe(space.parse(trial.arch)),
                accuracy=trial.metrics["accuracy"],
                latency_ms=trial.metrics["latency_ms"],
                is_finalist=any(trial.arch == space.text(f.trained.candidate.arch) for f in finalists),
            )
            for trial in trials
        ),
        finalists=tuple(
            Finalist(
                name=space.text(finalist.trained.candidate.arch),
                accuracy=finalist.trained.accuracy,
                latency_ms_predicted=finalist.latency_ms_predicted,
                latency_ms_measured=finalist.latency_ms,
            )
            for finalist in finalists
        ),
        layers=_layer_times(settings, runtime, best.network.layers),
        dense_layers=_layer_times(settings, dense_runtime, dense_network.layers),
        machine=table.machine | {"pinned_core": (table.table.how.get("cores") or [None])[-1]},
        command=command,
        versions=versions(),
    )
    return summary, report


def _layer_times(
    settings: SearchSettings, model: native.Model, layers: Sequence[Layer]
) -> tuple[LayerTime, ...]:
    with native.pinned(settings.measure.core):
        us = np.median(model.profile(200), axis=0) * 1e6
    return tuple(
        LayerTime(
            name=layer.name,
            op=layer.op,
            shape=f"{layer.c_in}x{layer.c_out}@{layer.height}x{layer.width}",
            sparsity=layer.sparsity,
            kernel=record.kernel_name,
            us=float(time),
        )
        for layer, record, time in zip(layers, model.layers, us, strict=True)
    )


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(1) == labels).mean())


def _counts(data: Data) -> str:
    sizes = (len(split.labels) for split in (data.train, data.validation, data.test))
    return "{} train, {} validation, {} test images, {} classes".format(*sizes, len(data.classes))


def _losses(update: Update) -> Callable[[int, int, dict[str, float]], None]:
    def report(step: int, total: int, metrics: dict[str, float]) -> None:
        update(step, total, f"loss {metrics['loss']:.3f}" if "loss" in metrics else "")

    return report
