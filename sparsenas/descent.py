"""A differentiable search as a stage of a run: from logits to trials.

One training yields beliefs, and these the most probable networks that land at the target; they are the
trials. Beliefs and weights are of mixtures, and these networks are not: so another supernet is trained as
each of them in turn, and its loss ranks them. What was believed over time stays in the run's folder, in
beliefs.jsonl.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from sparsenas.data import Data
from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule
from sparsenas.objectives import Costs
from sparsenas.progress import Update
from sparsenas.space import Space
from sparsenas.strategies.beliefs import FILE, write_beliefs
from sparsenas.strategies.collapse import warnings
from sparsenas.strategies.differentiable.base import Differentiable
from sparsenas.strategies.differentiable.landing import land
from sparsenas.strategies.differentiable.limits import Limits
from sparsenas.supernet import supernet
from sparsenas.train import (
    ArchitectureSettings,
    Keeper,
    Scores,
    SupernetSettings,
    contest,
    supernet_keeper,
    supernet_scorer,
    train_architecture,
)
from sparsenas.trials import Trial, TrialLog

_CHECKPOINT_EVERY = 100

LANDED = 64
"""Most probable networks of a search that are scored: it costs little, and beliefs rank networks worse."""


def descend(
    space: Space,
    name: str,
    strategy: Callable[[], Differentiable],
    data: Data,
    costs: Costs,
    log: TrialLog,
    folder: Path,
    settings: ArchitectureSettings,
    ranking: SupernetSettings,
    *,
    target_ms: float,
    budget_ms: float,
    combine: Literal["worst", "weighted"],
    seed: int,
    note: Callable[[int, dict[str, float]], None],
    update: Update,
    finish: bool = False,
) -> list[Trial]:
    """Returns the trials: the most probable networks that land at the budget, and those of the log.

    Args:
        name: of the strategy.
        costs: of architectures and mixtures, `latency_ms` first, with limits.
        log: of the run; where it has all results for the target, nothing is trained.
        folder: of the run, where an earlier start may have left checkpoints.
        ranking: how the supernet of the networks that land is trained.
        target_ms: what the search trains for.
        budget_ms: what networks take at most, as predicted: the target, or another one if predictions turned
            out to be off.
        finish: train no further than an earlier start did; what lands is ranked by the weights of the search.
        note: is told the numbers of every step that training reports.

    Raises:
        UserError: where training diverges, or what the folder keeps belongs to another search.
    """
    known = list(log)
    if budget_ms == target_ms and known and all(trial.metrics is not None for trial in known):
        update(settings.steps, settings.steps, "done before")
        return known
    net = supernet(space)
    about = {
        "space": space.fingerprint(),
        "strategy": name,
        "seed": str(seed),
        "target": f"{target_ms!r} ms",
        "limits": "; ".join(f"{one.name} {one.target!r}" for one in costs.objectives[1:]),
        "settings": json.dumps(dataclasses.asdict(settings), sort_keys=True),
    }
    searched = train_architecture(
        net,
        space,
        data.train,
        strategy(),
        _limits(costs, target_ms, combine).expected,
        settings,
        target_ms=target_ms,
        seed=seed,
        report=_reporter(note, update, target_ms),
        keeper=Keeper(folder=folder / "checkpoints" / "architecture", about=about, every=_CHECKPOINT_EVERY),
        finish=finish,
    )
    problems = warnings(space, searched.beliefs)
    write_beliefs(searched.beliefs, folder / FILE, strategy=name, warnings=problems)
    landing = _limits(costs, budget_ms, combine)
    if not known or budget_ms != target_ms:
        try:
            archs = land(space, searched.beliefs.last, landing, target_ms=budget_ms, count=LANDED)
        except UserError:
            if not known:
                raise
            # Nothing meets a budget that was centred anew: what landed before stays.
            archs = []
        proposed = {trial.arch for trial in known}
        log.propose([text for arch in archs if (text := space.text(arch)) not in proposed])
    known = [trial for trial in log if trial.metrics is None]
    archs = [space.parse(trial.arch) for trial in known]
    if archs:
        kept = folder / "checkpoints" / f"landed-{known[0].number}"
        if finish:
            scores = supernet_scorer(
                net, space, searched.variables, calibration=data.train, validation=data.validation
            )(archs)
        else:
            scores = _ranked(net, space, data, known, kept, ranking, seed=seed, update=update)
        log.record(
            {
                trial.number: {"accuracy": float(accuracy), "loss": float(loss), **metrics}
                for trial, accuracy, loss, metrics in zip(known, *scores, costs.metrics(archs), strict=True)
            }
        )
        shutil.rmtree(kept, ignore_errors=True)
    landed = f"{float(landing(archs).max()):.4f} ms of {budget_ms:.4f}" if archs else "nothing new"
    update(settings.steps, settings.steps, "; ".join([landed, *problems]))
    return list(log)


def _ranked(
    net: PureModule,
    space: Space,
    data: Data,
    trials: Sequence[Trial],
    folder: Path,
    settings: SupernetSettings,
    *,
    seed: int,
    update: Update,
) -> Scores:
    """Returns how good trials are with weights that are trained as each of them in turn.

    Args:
        folder: of the checkpoints of that training.
    """
    archs = [trial.arch for trial in trials]
    keeper = supernet_keeper(folder, space, data.train, settings, seed=seed)
    networks = {"networks": hashlib.sha256(" ".join(archs).encode()).hexdigest()[:16]}
    return contest(
        net,
        space,
        list(map(space.parse, archs)),
        data.train,
        data.validation,
        settings,
        seed=seed,
        report=lambda step, total, numbers: update(
            step, total, f"as {len(archs)} networks that landed, loss {numbers['loss']:.3f}"
        ),
        keeper=dataclasses.replace(keeper, about={**keeper.about, **networks}),
    )


def _limits(costs: Costs, target_ms: float, combine: Literal["worst", "weighted"]) -> Limits:
    """Returns the limits as one, with another target for the first one, the latency."""
    first, *others = costs.objectives
    limits = (dataclasses.replace(first, target=target_ms), *others)
    return Limits(costs=tuple(costs.functions[one.name] for one in limits), limits=limits, combine=combine)


def _reporter(
    note: Callable[[int, dict[str, float]], None], update: Update, target_ms: float
) -> Callable[[int, int, dict[str, float]], None]:
    def report(step: int, total: int, metrics: dict[str, float]) -> None:
        note(step, metrics)
        share = metrics["latency_ms"] / target_ms
        update(step, total, f"loss {metrics['loss']:.3f}, expected latency {share:.0%} of the target")

    return report
