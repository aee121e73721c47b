"""The main path: from a space and a data set to the fastest network that is still accurate.

A run is a folder. Every stage leaves its result there, so that a run that was stopped goes on where it was:
config.json, trials.sqlite, checkpoints/, candidates/, trainings/, tensorboard/, best/, summary.json,
report.html.
"""

import contextlib
import dataclasses
import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from sparsenas import candidates, checkpoint, train
from sparsenas.baselines import choose_baselines
from sparsenas.believed import belief_rows, note_beliefs
from sparsenas.candidates import Candidate, Context, Trained
from sparsenas.cluster.crew import Crew
from sparsenas.cluster.settings import ClusterSettings
from sparsenas.data import Data, load
from sparsenas.descent import descend
from sparsenas.errors import UserError
from sparsenas.final import finals
from sparsenas.finalists import check_device
from sparsenas.latency.space_latency import SpaceLatency
from sparsenas.nn.pure import Variables
from sparsenas.objectives import Costs
from sparsenas.progress import Progress, Silent, Update
from sparsenas.record import Record, best_so_far
from sparsenas.report.page import write_report
from sparsenas.report.stills import write_stills
from sparsenas.report.summary import Summary, write_summary
from sparsenas.run_folder import check_unchanged, latency_of
from sparsenas.search_settings import (
    SearchSettings,
    choose_aim,
    choose_reward,
    choose_target,
    supernet_settings,
)
from sparsenas.space import Arch, Space
from sparsenas.stages import recommend, search_by_training, search_with_scores, unwatched
from sparsenas.strategies.catalog import STRATEGIES, Factory, make
from sparsenas.strategies.differentiable.catalog import DIFFERENTIABLE
from sparsenas.supernet import supernet
from sparsenas.train import Evaluator
from sparsenas.trials import Trial, TrialLog
from sparsenas.winner import conclude

# What TensorBoard calls the groups of a run, beside the finalists.
SUPERNET, TRIALS, CHOICES = "supernet", "trials", "choices"
# A search for another latency, because predictions were off, has this part of the trials on top.
_MORE = 4


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
    finish: bool = False,
) -> Summary:
    """Searches a space, trains and measures the finalists, and leaves the winner in `folder`.

    Args:
        space: what `settings.space` names.
        folder: made by `open_run`; what an earlier start left there is not done again.
        workers: networks trained at once; 0 trains them in this process, without Ray.
        cluster: where, and what each may take; its `workers` do not count.
        strategy: what `settings.strategy` names, where that is a file.
        finish: search no further than an earlier start did, and end with what it found.
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
        factory = strategy or STRATEGIES[settings.strategy]
        proposing = make(settings.strategy, factory, space, aim)
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
    check_unchanged(folder, _facts(settings, space, digest))
    with (
        contextlib.closing(TrialLog(folder / "trials.sqlite")) as log,
        Record(folder) as record,
        candidates.crew(context, log=log, settings=cluster) as crew,
    ):
        if log.notice:
            with progress.stage("Repair the log of trials") as update:
                update(1, 1, log.notice)
        count = settings.trials
        if finish and not gradient:
            states = [trial.state for trial in log]
            count = len(states)
            if "done" not in states:
                raise UserError(f"The run {str(folder)!r} has no trial yet; go on with it, without --finish.")
        if settings.measure_on is not None:
            with progress.stage(f"Device {settings.measure_on}") as update:
                check_device(settings)
                update(1, 1, "there to measure the finalists")
        fastest_ms = latency.least(len(space.choices))[1]
        budget_ms = target_ms * (1 - settings.margin)
        more = count + max(count // _MORE, 1)
        baselines: dict[str, Arch] = {}
        # Trials after a search for another predicted latency; None where no more are wanted.
        again: Callable[[float, Update], list[Trial]] | None = None
        if gradient:
            again = partial(
                _descend, settings, space, data, aim.costs, target_ms, finish, log, folder, record
            )
            with progress.stage(f"Train supernet and architecture, target {target_ms:.4f} ms") as update:
                trials = again(budget_ms, update)
        elif settings.evaluate == "train":
            look = partial(search_by_training, settings, context, latency, factory, log, crew, digest)
            again = None if finish else partial(unwatched, partial(look, more))
            with progress.watch(f"Search, target {target_ms:.4f} ms") as watch:
                trials = look(count, budget_ms, watch)
        else:
            with progress.stage("Train the supernet") as update:
                variables = _supernet(settings, context, folder, log, cluster, digest, record, update)
            score = train.supernet_evaluator(
                supernet(space),
                space,
                variables,
                calibration=data.train,
                validation=data.validation,
                chunk=settings.batch,
            )
            look = partial(search_with_scores, settings, space, latency, factory, score, log)
            again = None if finish else partial(look, more)
            with progress.stage(f"Search, target {target_ms:.4f} ms") as update:
                trials = look(count, budget_ms, update)
            if settings.baselines:
                with progress.stage("Choose networks with one sparsity to compare with") as update:
                    baselines = _baselines(settings, space, latency, score, target_ms)
                    update(1, 1, f"{len(baselines)} networks")
        if not gradient:
            said = note_beliefs(space, proposing, reward, log, folder, name=settings.strategy)
            if said is not None:
                with progress.stage("Probabilities of the choices over time") as update:
                    update(1, 1, "; ".join(said) or "nothing collapsed")
        search_seconds = time.perf_counter() - started
        with progress.stage("Train finalists and the dense twin from scratch") as update:
            final = finals(
                settings,
                space,
                data,
                table,
                trials,
                target_ms=target_ms,
                train_all=lambda jobs: _candidates(context, crew, jobs, folder, digest, record, update),
                search_again=lambda budget_ms: (
                    again(budget_ms, update) if again and budget_ms >= fastest_ms else trials
                ),
                baselines=baselines,
                recommend=lambda trials, budget_ms: (
                    None
                    if gradient or budget_ms < fastest_ms
                    else recommend(settings, space, latency, factory, trials, budget_ms)
                ),
            )
            best = final.best
            note = f"{best.latency_ms:.4f} ms, dense {best.dense_latency_ms:.4f} ms, both measured"
            update(1, 1, note + final.note)
        record.events(TRIALS, best_so_far([one.metrics for one in final.trials], target_ms=target_ms))
        record.events(CHOICES, belief_rows(folder))

    with progress.stage("Check the winner against JAX and write the report") as update:
        summary, report = conclude(
            settings,
            space,
            data,
            table,
            target_ms,
            final,
            search_seconds,
            command,
            folder,
        )
        write_summary(summary, folder / "summary.json")
        write_report(report, folder / "report.html")
        write_stills(report, folder)
        update(1, 1, str(folder / "report.html"))
    return summary


def _descend(
    settings: SearchSettings,
    space: Space,
    data: Data,
    costs: Costs,
    target_ms: float,
    finish: bool,
    log: TrialLog,
    folder: Path,
    record: Record,
    budget_ms: float,
    update: Update,
) -> list[Trial]:
    return descend(
        space,
        settings.strategy,
        DIFFERENTIABLE[settings.strategy],
        data,
        costs,
        log,
        folder,
        settings.architecture,
        settings.supernet,
        target_ms=target_ms * (1 - settings.margin),
        budget_ms=budget_ms,
        combine=settings.combine,
        seed=settings.seed,
        note=lambda step, numbers: record.note(SUPERNET, step, numbers),
        update=update,
        finish=finish,
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


def _baselines(
    settings: SearchSettings, space: Space, latency: SpaceLatency, score: Evaluator, target_ms: float
) -> dict[str, Arch]:
    budgets = {
        "" if part == 1 else f", {part:g} of the target": part * target_ms * (1 - settings.margin)
        for part in settings.baselines
    }
    return choose_baselines(space, latency, score, budgets, np.random.default_rng(settings.seed))


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


def _facts(settings: SearchSettings, space: Space, digest: str) -> dict[str, str]:
    """Returns what the settings only name, as hashes."""
    found = {f"space {settings.space!r}": space.fingerprint(), f"images of {settings.dataset!r}": digest}
    if settings.strategy.endswith(".py"):
        content = Path(settings.strategy).read_bytes()
        found[f"strategy {settings.strategy!r}"] = hashlib.sha256(content).hexdigest()
    return found


def _counts(data: Data) -> str:
    sizes = (len(split.labels) for split in (data.train, data.validation, data.test))
    return "{} train, {} validation, {} test images, {} classes".format(*sizes, len(data.classes))


def _losses(record: Record, update: Update) -> Callable[[int, int, dict[str, float]], None]:
    def report(step: int, total: int, metrics: dict[str, float]) -> None:
        record.note(SUPERNET, step, metrics)
        update(step, total, f"loss {metrics['loss']:.3f}" if "loss" in metrics else "")

    return report
