"""From settings to the optimizer that owns a network's zeros."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import optax

from sparsenas.errors import UserError
from sparsenas.sparsity.admm import admm
from sparsenas.sparsity.gradual import gradual
from sparsenas.sparsity.l0 import l0
from sparsenas.sparsity.masking import masked
from sparsenas.sparsity.rigl import rigl
from sparsenas.sparsity.schedules import Schedule, one_shot, polynomial
from sparsenas.sparsity.scores import first_order, magnitude, movement
from sparsenas.sparsity.straight_through import straight_through
from sparsenas.train.loop import LoopSettings, adamw

PyTree = Any

SCORES = {"magnitude": magnitude, "movement": movement, "first_order": first_order}


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(LoopSettings):
    """How to train a single network.

    Attributes:
        algorithm: how zeros are found. `gradual`: ever more of the least important weights. `rigl`: sparse
            from the start, zeros move. `sr_ste`: weights live on behind their masks, for 2:4. `admm`: drawn
            towards the pattern first, for kernel patterns. `l0`: gates that are trained along.
        score: what makes a weight important to `gradual`.
        prune_begin: part of the training after which weights become zeros.
        prune_end: part of the training after which there are as many zeros as the space asks.
        prune_power: of the polynomial between them; 3 prunes fast at first, 1 evenly, 0 all at `prune_end`.
        prune_every: steps between two changes of the masks; ten times as many for `rigl` and `admm`.
        rigl_fraction: of the kept weights that the first change of `rigl` moves.
        sr_ste_decay: by which `sr_ste` shrinks weights behind masks.
        admm_rho: how strongly `admm` draws at first; a hundred times as strongly at `prune_end`.
        l0_penalty: of an open gate.
    """

    algorithm: Literal["gradual", "rigl", "sr_ste", "admm", "l0"] = "gradual"
    score: Literal["magnitude", "movement", "first_order"] = "magnitude"
    prune_begin: float = 0.15
    prune_end: float = 0.6
    prune_power: float = 3.0
    prune_every: int = 10
    rigl_fraction: float = 0.3
    sr_ste_decay: float = 2e-4
    admm_rho: float = 1e-3
    l0_penalty: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.prune_begin <= self.prune_end <= 1:
            raise UserError(
                f"`prune_begin` ({self.prune_begin}) and `prune_end` ({self.prune_end}) must be parts of the "
                "training, from 0 to 1, the first no later than the second."
            )
        if not self.prune_power >= 0:
            raise UserError(f"`prune_power` must be at least 0, found {self.prune_power}.")
        if self.prune_every < 1:
            raise UserError(f"`prune_every` must be at least 1, found {self.prune_every}.")


def pruning_optimizer(
    settings: NetworkSettings, targets: PyTree, *, key: jax.Array
) -> optax.GradientTransformation:
    """Returns the optimizer after whose steps each weight has the zeros of its target.

    Args:
        targets: like the parameters, a `Target` each.
        key: of what the algorithm draws.

    Raises:
        UserError: where the algorithm cannot train a pattern.
    """
    inner = adamw(settings)
    _, end = pruning_steps(settings)
    seldom = 10 * settings.prune_every
    match settings.algorithm:
        case "gradual":
            score = SCORES[settings.score]()
            schedule = schedule_of(settings)
            return masked(inner, gradual(targets, schedule=schedule, score=score, every=settings.prune_every))
        case "rigl":
            return masked(inner, rigl(targets, end=end, every=seldom, fraction=settings.rigl_fraction))
        case "sr_ste":
            return straight_through(
                inner,
                targets,
                schedule=schedule_of(settings),
                decay=settings.sr_ste_decay,
                every=settings.prune_every,
            )
        case "admm":
            return admm(inner, targets, end=end, every=seldom, rho=settings.admm_rho)
        case "l0":
            return l0(inner, targets, end=end, key=key, penalty=settings.l0_penalty)
        case other:
            raise UserError(f"No algorithm named {other!r}. There are: gradual, rigl, sr_ste, admm, l0.")


def pruning_steps(settings: NetworkSettings) -> tuple[int, int]:
    """Returns the steps at which pruning begins and ends; the last update still prunes."""
    begin = min(round(settings.prune_begin * settings.steps), settings.steps - 1)
    return begin, max(1, min(round(settings.prune_end * settings.steps), settings.steps - 1))


def schedule_of(settings: NetworkSettings) -> Schedule:
    """Returns the part of the final zeros at every step."""
    begin, end = pruning_steps(settings)
    if not settings.prune_power or begin >= end:
        return one_shot(at=min(end, settings.steps - 1))
    return polynomial(begin=begin, end=end, power=settings.prune_power)
