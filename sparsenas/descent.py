"""A differentiable search as a stage of a run: from logits to trials.

One training yields beliefs, and these the most probable networks that land at the target; they are the
trials. The supernet's weights score them, as beliefs are of mixtures and these are not: of searches on a
table of all networks, those that trust probabilities alone miss more. What was believed over time stays in
the run's folder, in beliefs.jsonl.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from sparsenas.data import Data
from sparsenas.latency.space_latency import SpaceLatency
from sparsenas.progress import Update
from sparsenas.space import Space
from sparsenas.strategies.beliefs import FILE, write_beliefs
from sparsenas.strategies.collapse import warnings
from sparsenas.strategies.differentiable.base import Differentiable
from sparsenas.strategies.differentiable.landing import land
from sparsenas.supernet import supernet
from sparsenas.train import ArchitectureSettings, Keeper, supernet_evaluator, train_architecture
from sparsenas.trials import Trial, TrialLog

_CHECKPOINT_EVERY = 100

LANDED = 16
"""Most probable networks of a search that are scored."""


def descend(
    space: Space,
    name: str,
    strategy: Callable[[], Differentiable],
    data: Data,
    latency: SpaceLatency,
    log: TrialLog,
    folder: Path,
    settings: ArchitectureSettings,
    *,
    target_ms: float,
    seed: int,
    note: Callable[[int, dict[str, float]], None],
    update: Update,
) -> list[Trial]:
    """Returns the trials: the most probable networks that land at the target.

    Args:
        name: of the strategy.
        log: of the run; where it has all results, nothing is trained.
        folder: of the run, where an earlier start may have left checkpoints.
        target_ms: what each takes at most, by `latency`.
        note: is told the numbers of every step that training reports.

    Raises:
        UserError: where training diverges, or what the folder keeps belongs to another search.
    """
    known = list(log)
    if known and all(trial.metrics is not None for trial in known):
        update(settings.steps, settings.steps, "done before")
        return known
    net = supernet(space)
    about = {
        "space": space.fingerprint(),
        "strategy": name,
        "seed": str(seed),
        "target": f"{target_ms!r} ms",
        "settings": json.dumps(dataclasses.asdict(settings), sort_keys=True),
    }
    searched = train_architecture(
        net,
        space,
        data.train,
        strategy(),
        latency.expected,
        settings,
        target_ms=target_ms,
        seed=seed,
        report=_reporter(note, update, target_ms),
        keeper=Keeper(folder=folder / "checkpoints" / "architecture", about=about, every=_CHECKPOINT_EVERY),
    )
    problems = warnings(space, searched.beliefs)
    write_beliefs(searched.beliefs, folder / FILE, strategy=name, warnings=problems)
    if not known:
        archs = land(space, searched.beliefs.last, latency, target_ms=target_ms, count=LANDED)
        log.propose([space.text(arch) for arch in archs])
        known = list(log)
    archs = [space.parse(trial.arch) for trial in known]
    score = supernet_evaluator(
        net, space, searched.variables, calibration=data.train, validation=data.validation, chunk=len(archs)
    )
    log.record(
        {
            trial.number: {"accuracy": float(accuracy), "latency_ms": float(ms)}
            for trial, accuracy, ms in zip(known, score(archs), latency(archs), strict=True)
        }
    )
    landed = f"{float(latency(archs[:1])[0]):.4f} ms of {target_ms:.4f}"
    update(settings.steps, settings.steps, "; ".join([landed, *problems]))
    return list(log)


def _reporter(
    note: Callable[[int, dict[str, float]], None], update: Update, target_ms: float
) -> Callable[[int, int, dict[str, float]], None]:
    def report(step: int, total: int, metrics: dict[str, float]) -> None:
        note(step, metrics)
        share = metrics["latency_ms"] / target_ms
        update(step, total, f"loss {metrics['loss']:.3f}, expected latency {share:.0%} of the target")

    return report
