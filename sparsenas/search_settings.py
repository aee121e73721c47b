"""What a search is to find, and how: its settings, and what follows from them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sparsenas.costs import COSTS, cost_of
from sparsenas.errors import UserError
from sparsenas.latency.devices import ready_device
from sparsenas.latency.library import LOCAL
from sparsenas.latency.measure import MeasureSettings
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.space_latency import SpaceLatency
from sparsenas.latency.tabulate import Tabulated
from sparsenas.objectives import Costs, Objective, check_reachable, weighted, worst
from sparsenas.reward import Formula, Reward, mnasnet, of_ratio, tunas, within
from sparsenas.space import Space
from sparsenas.strategies.catalog import STRATEGIES, Aim
from sparsenas.strategies.differentiable.catalog import DIFFERENTIABLE
from sparsenas.strategies.progressive import SHRINKING
from sparsenas.train import ArchitectureSettings, CandidateSettings, NetworkSettings, SupernetSettings

REWARDS: dict[str, Formula] = {
    "tunas": tunas(1.0),
    "mnasnet": mnasnet(1.0),
    "mnasnet_hard": mnasnet(1.0, below=0, above=-1),
    "within": within(1.0),
}
"""By name, of accuracy and latency over its target."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """All that determines a search.

    Attributes:
        space: a space by name, or a Python file that defines SPACE.
        side: pixels of the image's side; the space's usual one if left out.
        dataset: `digits`, or a folder or archive with train/<class>/* and test/<class>/*.
        limit: at most this many images of each split, for a quick look.
        device: the latency table: `local` (measured here when needed), a name, or a table's file.
        strategy: how architectures are proposed: a name, or a Python file that defines strategy(space). Or
            one that trains its beliefs along with a supernet: `darts`, `darts2` (second order), `gumbel` or
            `proxyless`, which need no trials, batch and reward.
        reward: how accuracy and latency become one number: MnasNet's soft or hard form, TuNAS' absolute one,
            or accuracy alone of what is within the target.
        objectives: further ones beside accuracy and latency on the device, with targets or without:
            `latency_ms` of other devices, `macs`, `parameters`, `file_bytes`. Given in an experiment's file.
        combine: how latencies of several devices count: the worst one, or their mean by weight.
        target_ms: latency to search for; half of what the largest network takes without zeros if left out.
        margin: share of the target that is kept free for the prediction's error when finalists are chosen.
        evaluate: how architectures are scored: with the weights of a `supernet`, or each by training it alone
            (`train`), many at once.
        trials: architectures to evaluate.
        batch: architectures that are proposed and evaluated together with a supernet.
        ahead: architectures that are proposed before the result of the first of them is known, where each is
            trained: as many are worked on at once at most. What is found depends on it, and not on how many
            workers there are; twice as many as workers keep all of them busy.
        finalists: architectures that are trained from scratch.
        baselines: parts of the target; for each, networks with one sparsity in all layers, the best by the
            supernet, are trained and measured beside the finalists, to compare with.
        measure_on: where they and their dense twins are measured, as whole networks: a device such as
            `ray://NAME` that a node of the cluster lends, or ssh://HOST; this machine if left out. Beside a
            --device table that was measured there.
        seed: of everything that is random.
    """

    space: str = "tiny"
    side: int | None = None
    dataset: str = "digits"
    limit: int | None = None
    device: str = LOCAL
    strategy: str = "regularized_evolution"
    reward: Literal["tunas", "mnasnet", "mnasnet_hard", "within"] = "tunas"
    objectives: tuple[Objective, ...] = ()
    combine: Literal["worst", "weighted"] = "worst"
    target_ms: float | None = None
    margin: float = 0.04
    evaluate: Literal["supernet", "train"] = "supernet"
    trials: int = 192
    batch: int = 8
    ahead: int = 16
    finalists: int = 3
    baselines: tuple[float, ...] = ()
    measure_on: str | None = None
    seed: int = 0
    supernet: SupernetSettings = field(default_factory=SupernetSettings)
    architecture: ArchitectureSettings = field(default_factory=ArchitectureSettings)
    candidate: CandidateSettings = field(default_factory=CandidateSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    measure: MeasureSettings = field(default_factory=MeasureSettings)

    def __post_init__(self) -> None:
        for name in ("trials", "batch", "ahead", "finalists"):
            if getattr(self, name) < 1:
                raise UserError(f"`{name}` must be at least 1, found {getattr(self, name)}.")
        if self.target_ms is not None and not self.target_ms > 0:
            raise UserError(f"`target_ms` must be above 0, found {self.target_ms}.")
        if any(not part > 0 for part in self.baselines):
            raise UserError(f"`baselines` must be parts of the target above 0, found {self.baselines}.")
        if self.baselines and (self.evaluate != "supernet" or self.strategy in DIFFERENTIABLE):
            raise UserError(
                "`baselines` are chosen by a supernet's scores: they need `evaluate` supernet and a strategy "
                f"that is none of {', '.join(DIFFERENTIABLE)}; found {self.evaluate} and {self.strategy}."
            )
        known = (*STRATEGIES, *DIFFERENTIABLE)
        if self.strategy not in known and not self.strategy.endswith(".py"):
            raise UserError(
                f"No strategy named {self.strategy!r}. There are: {', '.join(known)}; or give a Python "
                "file that defines strategy(space), whose name ends in .py."
            )
        for one in self.objectives:
            if one.target is None and self.strategy in DIFFERENTIABLE:
                raise UserError(
                    f"Searches by gradient hold targets, and objective {one.name!r} has none: give it one, "
                    "or search the front with --strategy nsga2."
                )
            if one.metric not in ("latency_ms", *COSTS) or (one.metric == "latency_ms") != bool(one.device):
                raise UserError(
                    "`objectives` beside accuracy and latency are latency_ms with a `device`, or without one "
                    f"{', '.join(COSTS)}; found {one.name!r}."
                )


def choose_target(
    settings: SearchSettings, space: Space, table: LatencyModel, latency: SpaceLatency
) -> float:
    """Returns the target in milliseconds; raises `UserError` where no architecture reaches it."""
    target_ms = settings.target_ms
    if target_ms is None:
        target_ms = table.predict([layer.dense() for layer in space.layers(space.largest)]) / 2
    arch, fastest_ms = latency.least(len(space.choices))
    if target_ms * (1 - settings.margin) < fastest_ms:
        raise UserError(
            f"No architecture of space {space.name!r} reaches {target_ms:.4f} ms on device "
            f"{table.device!r}: "
            f"the fastest, {space.text(space.canonical(arch))}, is predicted to take {fastest_ms:.4f} ms; "
            f"ask for at least --target-ms {fastest_ms / (1 - settings.margin) * 1.01:.4f}."
        )
    return target_ms


def supernet_settings(settings: SearchSettings) -> SupernetSettings:
    """Returns how the supernet is trained: for `progressive` by shrinking, unless the settings say how."""
    if settings.strategy != "progressive" or any(settings.supernet.opens.values()):
        return settings.supernet
    return dataclasses.replace(settings.supernet, **SHRINKING)


def choose_aim(settings: SearchSettings, space: Space, latency: SpaceLatency, target_ms: float) -> Aim:
    """Returns what the search wants; raises `UserError` where a target is out of reach."""
    tables = {"latency_ms": latency}
    for one in settings.objectives:
        if one.device is not None:
            tables[one.name] = ready_device(one.device, space).tabulate(space)
        else:
            tables[one.name] = cost_of(space, one.metric)
    count = len(space.choices)
    ranges = {name: (table.least(count)[1], table.most(count)[1]) for name, table in tables.items()}
    check_reachable(settings.objectives, ranges)
    within_ms = target_ms * (1 - settings.margin)
    limits = (Objective("latency_ms", target=within_ms), *settings.objectives)
    check_together([(tables[one.name], one.target) for one in limits if one.target is not None], count)
    return Aim(
        trials=settings.trials,
        objectives=(Objective("accuracy"), *limits),
        costs=Costs(functions=tables, objectives=limits),
    )


def choose_reward(settings: SearchSettings, target_ms: float) -> Reward:
    """Returns the reward that the settings name."""
    limits = [Objective("latency_ms", target=target_ms)]
    limits += [one for one in settings.objectives if one.target is not None]
    return of_ratio(
        REWARDS[settings.reward], {"worst": worst, "weighted": weighted}[settings.combine](limits)
    )


def check_together(limits: Sequence[tuple[Tabulated | SpaceLatency, float]], choices: int) -> None:
    """Refuses targets that are in reach alone but not together.

    An architecture that meets all k of them has parts of targets that add up to at most k; the least sum of
    any architecture is known exactly. What this lets through may still be out of reach.
    """
    bounds = [
        (table.lower_bound() if isinstance(table, SpaceLatency) else table, target)
        for table, target in limits
    ]
    scaled = [(scope, cost / target) for table, target in bounds for scope, cost in table.terms]
    fixed = sum(table.fixed / target for table, target in bounds)
    _, least = Tabulated(fixed, tuple(scaled)).least(choices)
    if least > len(limits) * (1 + 1e-9):
        raise UserError(
            f"No architecture meets the {len(limits)} targets together: at best it has {least:.3g} of them, "
            f"each as a part of its target, added up, where {len(limits)} are allowed. Raise one of them."
        )
