"""The main path: from a space and a data set to the fastest network that is still accurate.

A run is a folder. Every stage leaves its result there, so that a run that was stopped goes on where it was:
config.json, trials.sqlite, checkpoints/, candidates/, trainings/, tensorboard/, best/, summary.json,
report.html.
"""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from sparsenas import candidates, checkpoint, files, train
from sparsenas.believed import note_beliefs
from sparsenas.candidates import Candidate, Context, Trained
from sparsenas.cluster.crew import Crew
from sparsenas.cluster.settings import ClusterSettings
from sparsenas.data import Data, load
from sparsenas.descent import descend
from sparsenas.errors import UserError
from sparsenas.finalists import (
    choose_finalists,
    choose_winner,
    measure_finalists,
    so_far,
)
from sparsenas.latency.space_latency import SpaceLatency
from sparsenas.nn.pure import Variables
from sparsenas.progress import Progress, Silent, Update, Watch
from sparsenas.record import Record, best_so_far
from sparsenas.report.charts import figure_svg
from sparsenas.report.page import write_report
from sparsenas.report.summary import Summary, write_summary
from sparsenas.reward import Reward
from sparsenas.run_folder import latency_of
from sparsenas.search import search
from sparsenas.search_ahead import highest_rungs, search_ahead
from sparsenas.search_settings import (
    SearchSettings,
    choose_aim,
    choose_reward,
    choose_target,
    supernet_settings,
)
from sparsenas.space import Arch, Space
from sparsenas.strategies.base import Strategy
from sparsenas.strategies.beliefs import FILE as BELIEFS
from sparsenas.strategies.beliefs import read_beliefs
from sparsenas.strategies.catalog import SOFT, STRATEGIES, Aim, Factory, make
from sparsenas.strategies.differentiable.catalog import DIFFERENTIABLE
from sparsenas.strategies.halving import Schedule
from sparsenas.supernet import supernet
from sparsenas.trials import Trial, TrialLog
from sparsenas.winner import conclude

# What TensorBoard calls the groups of a run, beside the finalists.
SUPERNET, TRIALS, CHOICES = "supernet", "trials", "choices"


def run(
    settings: SearchSettings,
    space: Space,
    folder: Path,
    *,
    workers: int | Literal["auto"] = "auto",
    cluster: ClusterSettings | None = None,
    strategy: Factory | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Summary:
    """Searches a space, trains and measures the finalists, and leaves the winner in `folder`.

    Args:
        space: what `settings.space` names.
        folder: made by `open_run`; what an earlier start left there is not done again.
        workers: networks trained at once; 0 trains them in this process, without Ray.
        cluster: where, and what each may take; its `workers` do not count.
        strategy: what `settings.strategy` names, where that is a file.
    """
    progress = progress or Silent()
    started = time.perf_counter()
    with progress.stage(f"Data set {settings.dataset}") as update:
        data = load(settings.dataset, size=space.image[:2], seed=settings.seed, limit=settings.limit)
        update(1, 1, _counts(data))
    space = space.with_classes(len(data.classes))
    with progress.stage(f"Latency table of device {settings.device}") as update:
        table = latency_of(settings, space, folder, update)
        update(1, 1, f"{len(table.table.layers)} layers, {table.machine['isa']}")
    latency = table.tabulate(space)
    target_ms = choose_target(settings, space, table, latency)
    aim = choose_aim(settings, space, latency, target_ms)
    gradient = settings.strategy in DIFFERENTIABLE
    if not gradient:
        proposing = make(settings.strategy, strategy or STRATEGIES[settings.strategy], space, aim)
        reward = choose_reward(settings, target_ms)

    cluster = dataclasses.replace(cluster or ClusterSettings(), workers=workers)
    context = Context(
        space=space,
        training=data.train,
        validation=data.validation,
        candidate=settings.candidate,
        network=settings.network,
        supernet=supernet_settings(settings),
        seed=settings.seed,
        run=folder,
    )
    digest = context.digest()
    with (
        contextlib.closing(TrialLog(folder / "trials.sqlite")) as log,
        Record(folder) as record,
        candidates.crew(context, log=log, settings=cluster) as crew,
    ):
        if log.notice:
            with progress.stage("Repair the log of trials") as update:
                update(1, 1, log.notice)
        if gradient:
            with progress.stage(f"Train supernet and architecture, target {target_ms:.4f} ms") as update:
                trials = _descend(settings, space, data, latency, target_ms, log, folder, record, update)
        elif settings.evaluate == "train":
            with progress.watch(f"Search, target {target_ms:.4f} ms") as watch:
                trials = _search_by_training(
                    settings, context, aim, proposing, reward, target_ms, log, crew, digest, watch
                )
        else:
            with progress.stage("Train the supernet") as update:
                variables = _supernet(settings, context, folder, log, cluster, digest, record, update)
            with progress.stage(f"Search, target {target_ms:.4f} ms") as update:
                trials = _search(
                    settings, space, data, variables, aim, proposing, reward, target_ms, log, update
                )
        if not gradient:
            said = note_beliefs(space, proposing, reward, log, folder, name=settings.strategy)
            if said is not None:
                with progress.stage("Probabilities of the choices over time") as update:
                    update(1, 1, "; ".join(said) or "nothing collapsed")
        record.events(TRIALS, best_so_far([one.metrics for one in trials], target_ms=target_ms))
        _record_beliefs(record, folder)
        search_seconds = time.perf_counter() - started
        chosen = choose_finalists(
            trials, target_ms=target_ms * (1 - settings.margin), count=settings.finalists
        )
        with progress.stage("Train finalists and the dense twin from scratch") as update:
            jobs = [Candidate(arch=space.parse(trial.arch)) for trial in chosen]

            def train_all(jobs: Sequence[Candidate]) -> dict[Candidate, Trained]:
                return _candidates(context, crew, jobs, folder, digest, record, update)

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
        summary, report = conclude(
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


def _descend(
    settings: SearchSettings,
    space: Space,
    data: Data,
    latency: SpaceLatency,
    target_ms: float,
    log: TrialLog,
    folder: Path,
    record: Record,
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
        note=lambda step, numbers: record.note(SUPERNET, step, numbers),
        update=update,
    )


def _supernet(
    settings: SearchSettings,
    context: Context,
    folder: Path,
    log: TrialLog,
    cluster: ClusterSettings,
    digest: str,
    record: Record,
    update: Update,
) -> Variables:
    space = context.space
    path = folder / "checkpoints" / "supernet.safetensors"
    if path.exists():
        arrays, about = checkpoint.load(path)
        if about.get("space") != space.fingerprint():
            raise UserError(f"{path} is of another space than {space.name!r}; remove it to train it again.")
        return checkpoint.from_arrays(
            supernet(space).init(np.random.default_rng(settings.seed)), arrays, source=str(path)
        )
    if cluster.resources_for_supernet is None or cluster.workers == 0:
        variables = candidates.train_supernet(context, report=_losses(record, update))
    else:
        with candidates.crew_for_supernet(context, log=log, settings=cluster) as crew:
            variables = None
            for found in candidates.train_supernet_there(context, crew, data=digest):
                variables = found
                update(0, settings.supernet.steps, ", ".join(crew.status().running))
    checkpoint.save(path, checkpoint.to_arrays(variables), about={"space": space.fingerprint()})
    # What it was trained from is not needed any more, and as large as all of the rest.
    shutil.rmtree(folder / "checkpoints" / "supernet", ignore_errors=True)
    return variables


def _search_by_training(
    settings: SearchSettings,
    context: Context,
    aim: Aim,
    strategy: Strategy,
    reward: Reward,
    target_ms: float,
    log: TrialLog,
    crew: Crew,
    digest: str,
    watch: Watch,
) -> list[Trial]:
    space, rungs = context.space, settings.candidate.steps_of_rungs
    trials: list[Trial] = []
    shown = 0.0
    for trials in search_ahead(
        space,
        strategy,
        reward,
        crew,
        lambda arch: candidates.candidate_spec(context, arch, data=digest),
        log,
        trials=settings.trials,
        ahead=settings.ahead,
        seed=settings.seed,
        plan=Schedule(rungs, settings.candidate.reduction) if len(rungs) > 1 else None,
        beside=lambda arch: aim.costs.metrics([arch])[0],
        admits=lambda arch: settings.strategy in SOFT or not aim.costs.excess(np.array([arch]))[0] > 0,
    ):
        # To look at all of them whenever one finishes would take longer than the search.
        if time.monotonic() - shown < 1 and len(trials) > settings.ahead:
            continue
        shown = time.monotonic()
        finished = sum(trial.state != "open" for trial in trials)
        watch(finished, settings.trials, so_far(trials, target_ms), crew.status())
    found = highest_rungs(trials)
    if not found:
        first = next(trial.error for trial in trials)
        raise UserError(f"All of {len(trials)} candidates were given up; the first: {first}.")
    return found


def _search(
    settings: SearchSettings,
    space: Space,
    data: Data,
    variables: Variables,
    aim: Aim,
    strategy: Strategy,
    reward: Reward,
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
        found = aim.costs.metrics(archs)
        # What costs nothing to know comes first; what it rules out is not evaluated.
        over = aim.costs.excess(np.array(archs)) > 0
        admitted = [i for i in range(len(archs)) if settings.strategy in SOFT or not over[i]]
        if admitted:
            scores = accuracies([archs[i] for i in admitted])
            for i, accuracy in zip(admitted, scores, strict=True):
                found[i]["accuracy"] = float(accuracy)
        return found

    trials: list[Trial] = []
    for trials in search(
        space,
        strategy,
        reward,
        evaluate,
        log,
        trials=settings.trials,
        batch=settings.batch,
        seed=settings.seed,
    ):
        update(len(trials), settings.trials, so_far(trials, target_ms))
    return trials


def _candidates(
    context: Context,
    crew: Crew,
    jobs: Sequence[Candidate],
    folder: Path,
    digest: str,
    record: Record,
    update: Update,
) -> dict[Candidate, Trained]:
    """Trains candidates that have no result in the folder yet."""
    space = context.space
    done: dict[Candidate, Trained] = {}
    for job in jobs:
        path = folder / "candidates" / f"{job.name(space)}.safetensors"
        if path.exists():
            arrays, about = checkpoint.load(path)
            done[job] = Trained(candidate=job, arrays=arrays, accuracy=float(about["accuracy"]))
    update(len(done), len(jobs), "")
    missing = [job for job in dict.fromkeys(jobs) if job not in done]
    for one in candidates.train_candidates(context, crew, missing, data=digest):
        path = folder / "candidates" / f"{one.candidate.name(space)}.safetensors"
        checkpoint.save(path, one.arrays, about={"accuracy": repr(one.accuracy)})
        record.whole(one.candidate.name(space), one.training)
        done[one.candidate] = one
        update(len(done), len(jobs), f"{one.accuracy:.1%} on validation")
    return done


def _counts(data: Data) -> str:
    sizes = (len(split.labels) for split in (data.train, data.validation, data.test))
    return "{} train, {} validation, {} test images, {} classes".format(*sizes, len(data.classes))


def _record_beliefs(record: Record, folder: Path) -> None:
    """Makes events of what a strategy believed, where it had probabilities."""
    path = folder / BELIEFS
    if not path.exists():
        return
    found = read_beliefs(path)
    each = list(zip(found.choices, found.options, found.probabilities, strict=True))
    for row, at in enumerate(found.at):
        numbers = {
            f"{choice}/{option}": float(probability)
            for choice, options, probabilities in each
            for option, probability in zip(options, probabilities[row], strict=True)
        }
        record.events(CHOICES, [(at, numbers)])


def _losses(record: Record, update: Update) -> Callable[[int, int, dict[str, float]], None]:
    def report(step: int, total: int, metrics: dict[str, float]) -> None:
        record.note(SUPERNET, step, metrics)
        update(step, total, f"loss {metrics['loss']:.3f}" if "loss" in metrics else "")

    return report
