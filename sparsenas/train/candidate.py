"""Trains single networks of a space with one compiled step for all of them.

A network is trained in the place that it has in the supernet of its space, alone and from weights of its
own: which one it is, is an argument of the step. So the first candidate costs a compilation and the
others none, whatever their widths, depths and zeros. Where zeros are searched, training begins with the
least sparse option and moves to the network's own as gradual pruning does (Zhu and Gupta, 2017,
https://arxiv.org/abs/1710.01878): the share of weights that only the first one has falls from 1 to 0.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Arch, Space
from sparsenas.supernet import Choices, one_hot, refresh_ranks, supernet
from sparsenas.train.batches import EVALUATION_BATCH, in_batches, to_float
from sparsenas.train.loop import LoopSettings, Report, adamw, compiled_steps, one_pass, run
from sparsenas.train.losses import cross_entropy

if TYPE_CHECKING:
    from sparsenas.data import Split

_STEPS_PER_CALL = 20


@dataclass(frozen=True, kw_only=True)
class CandidateSettings(LoopSettings):
    """How to train a candidate of a search.

    Attributes:
        steps: of the last rung, where there are several.
        prune_begin: part of the training after which weights begin to fade.
        prune_end: part of the training after which the network has all of its zeros.
        rungs: how often it is decided who trains on (successive halving); 1 trains all to the end.
        reduction: of so many candidates of a rung one goes on, with so many times the steps.
    """

    steps: int = 120
    prune_begin: float = 0.15
    prune_end: float = 0.6
    rungs: int = 1
    reduction: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.prune_begin <= self.prune_end <= 1:
            raise UserError(
                f"`prune_begin` ({self.prune_begin}) and `prune_end` ({self.prune_end}) must be parts of the "
                "training, from 0 to 1, the first no later than the second."
            )
        if self.rungs < 1 or self.reduction < 2:
            raise UserError(
                f"`rungs` must be at least 1 and `reduction` at least 2, found {self.rungs} and "
                f"{self.reduction}."
            )
        if self.rungs > 1 and self.steps < self.reduction ** (self.rungs - 1):
            raise UserError(
                f"{self.steps} steps are too few for {self.rungs} rungs, each of {self.reduction} "
                "times those of the one below."
            )

    @property
    def steps_of_rungs(self) -> tuple[int, ...]:
        """Steps from the beginning to each rung, ascending."""
        return tuple(self.steps // self.reduction**i for i in reversed(range(self.rungs)))


class _Bucket(NamedTuple):
    """What all candidates of a space and of one length of training share."""

    net: PureModule
    steps: Callable
    predict: Callable


_BUCKETS: dict[tuple, _Bucket] = {}
_MOST_BUCKETS = 8


def train_candidate(
    space: Space,
    arch: Arch,
    split: "Split",
    settings: CandidateSettings,
    *,
    seed: int,
    rung: int = 0,
    start: Variables | None = None,
    parts: int = 1,
    report: Report | None = None,
) -> Variables:
    """Trains one network of a space, from the end of the rung below to the end of its rung.

    Args:
        start: what the rung below left; a rung of its own learning rate and moments starts from there.
        parts: in how many parts each batch is computed, for less memory.

    Returns:
        Variables of `supernet(space)`; they are this network's with its choices alone.

    Raises:
        UserError: when the loss is no longer finite.
    """
    if settings.batch % parts:
        raise UserError(
            f"`batch` must be a multiple of the {parts} parts it is computed in, found {settings.batch}."
        )
    settings = _of_rung(settings, rung)
    bucket = _bucket(space, settings, parts)
    init_rng, data_rng = np.random.default_rng((seed, rung)).spawn(2)
    variables = bucket.net.init(init_rng) if start is None else start
    draw = _choices(space, arch, settings, fades=start is None)
    return run(
        bucket.net,
        variables,
        adamw(settings),
        split,
        settings,
        rng=data_rng,
        steps_per_call=_STEPS_PER_CALL,
        draw=draw,
        between=lambda variables, done: refresh_ranks(space, variables),
        report=report,
        compiled=bucket.steps,
    )


def candidate_accuracy(
    space: Space,
    arch: Arch,
    variables: Variables,
    split: "Split",
    settings: CandidateSettings,
    *,
    rung: int = 0,
) -> float:
    """Returns the part of the images that a trained candidate classifies correctly."""
    bucket = _bucket(space, _of_rung(settings, rung), 1)
    choices = one_hot(space, arch)
    batches = in_batches(split.images, EVALUATION_BATCH)
    found = np.concatenate([np.asarray(bucket.predict(variables, batch, choices)) for batch in batches])
    return float((found[: len(split.labels)] == split.labels).mean())


def _of_rung(settings: CandidateSettings, rung: int) -> CandidateSettings:
    steps = settings.steps_of_rungs
    return replace(settings, steps=steps[rung] - (steps[rung - 1] if rung else 0), rungs=1)


def _bucket(space: Space, settings: CandidateSettings, parts: int) -> _Bucket:
    # By its fingerprint, as every task brings a copy of the space.
    key = space.fingerprint(), settings, parts
    if key not in _BUCKETS:
        if len(_BUCKETS) == _MOST_BUCKETS:
            _BUCKETS.clear()
        net = supernet(space)
        steps = compiled_steps(
            adamw(settings),
            one_pass(net, hard=True),
            cross_entropy(),
            settings,
            steps_per_call=_STEPS_PER_CALL,
            parts=parts,
        )

        def predict(variables: Variables, x: jax.Array, choices: Choices) -> jax.Array:
            return net.apply(variables, to_float(x), choices, train=False, hard=True)[0].argmax(-1)

        _BUCKETS[key] = _Bucket(net, steps, jax.jit(predict))
    return _BUCKETS[key]


def _choices(
    space: Space, arch: Arch, settings: CandidateSettings, *, fades: bool
) -> Callable[[int], Choices]:
    """Returns what gives the choices of the next steps: between the least zeros and the network's own."""
    own, first = one_hot(space, arch), one_hot(space, _least_sparse(space, arch))
    last = settings.steps - 1
    begin, end = round(settings.prune_begin * last), round(settings.prune_end * last)
    done = 0

    def draw(steps: int) -> Choices:
        nonlocal done
        at = np.arange(done, done + steps)
        done += steps
        part = np.clip((at - begin) / max(end - begin, 1), 0, 1) if fades else np.ones(steps)
        share = np.float32((1 - part) ** 3)[:, None]
        return tuple(share * a + (1 - share) * b for a, b in zip(first, own, strict=True))

    return draw


def _least_sparse(space: Space, arch: Arch) -> Arch:
    """Returns the architecture with the fewest zeros in each layer whose choices decide zeros alone."""
    return tuple(
        int(np.argmin([option.fraction for option in choice.options]))
        if all(hasattr(option, "fraction") for option in choice.options)
        else picked
        for picked, choice in zip(arch, space.choices, strict=True)
    )
