"""Trains a supernet, each step as other networks of its space."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import jax.numpy as jnp
import numpy as np

from sparsenas.errors import UserError
from sparsenas.nn.pure import PureModule, Variables
from sparsenas.space import Arch, Space
from sparsenas.sparsity.schedules import Schedule, cubic, one_shot
from sparsenas.supernet import refresh_ranks
from sparsenas.train.devices import shared_out, spread
from sparsenas.train.keeping import Keeper, described
from sparsenas.train.loop import LoopSettings, Report, adamw, one_pass, run
from sparsenas.train.sampling import sampler, sampler_among
from sparsenas.train.sandwich import sandwich

if TYPE_CHECKING:
    from sparsenas.data import Split


# Steps between two checkpoints.
_KEPT_EVERY = 100
# So that a short training sees its zeros come, too.
_LOOKS = 10


@dataclass(frozen=True, kw_only=True)
class SupernetSettings(LoopSettings):
    """How to train a supernet.

    Attributes:
        largest: part of the steps that train the largest network instead of a random one, where each step
            trains one network.
        sandwich: random networks that each step trains beside the largest and the smallest (Yu and Huang,
            2019); one network at a step if left out.
        distillation: whether the others of a sandwich learn what the largest one says, not the labels.
        kernels_from, depths_from, widths_from, sparsities_from: part of the training after which choices of
            kernel sizes, of depths, of widths and of zeros open (Cai et al., 2020); until then they are those
            of the largest network.
        prune_begin: part of the training after which weights become zeros, in all networks.
        prune_end: part of the training after which every network has all of its zeros. Until then they grow
            as in a network that is trained alone (Zhu and Gupta, 2017, https://arxiv.org/abs/1710.01878), so
            that what is pruned is small after training, not before it; with both 0 all are there at once.
        rank_every: steps between two looks at which weights are small; there are ten at least.
        precision: what is computed in. Weights and statistics are float32 in any case.
        devices: devices that share the images of a batch; all accelerators if left out.
    """

    largest: float = 0.2
    sandwich: int | None = None
    distillation: bool = True
    kernels_from: float = 0.0
    depths_from: float = 0.0
    widths_from: float = 0.0
    sparsities_from: float = 0.0
    prune_begin: float = 0.15
    prune_end: float = 0.6
    rank_every: int = 20
    precision: Literal["float32", "bfloat16"] = "float32"
    devices: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("largest", "kernels_from", "depths_from", "widths_from", "sparsities_from"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"`{name}` must be from 0 to 1, found {getattr(self, name)}.")
        if not 0 <= self.prune_begin <= self.prune_end <= 1:
            raise UserError(
                f"`prune_begin` ({self.prune_begin}) and `prune_end` ({self.prune_end}) must be parts of the "
                "training, from 0 to 1, the first no later than the second."
            )
        for name, least in (("sandwich", 0), ("rank_every", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UserError(f"`{name}` must be at least {least}, found {value}.")

    @property
    def opens(self) -> dict[str, int]:
        """The step from which choices of each kind are open."""
        parts = {
            "kernels": self.kernels_from,
            "depths": self.depths_from,
            "widths": self.widths_from,
            "sparsities": self.sparsities_from,
        }
        return {kind: round(part * self.steps) for kind, part in parts.items()}

    @property
    def zeros(self) -> Schedule:
        """The part of its zeros that every network has at a step."""
        begin, end = round(self.prune_begin * self.steps), round(self.prune_end * self.steps)
        return cubic(begin=begin, end=end) if begin < end else one_shot(at=end)


def supernet_keeper(
    folder: Path, space: Space, split: "Split", settings: SupernetSettings, *, seed: int
) -> Keeper:
    """Returns what keeps the training of a supernet in a folder, so that it goes on after a stop."""
    about = described(space.fingerprint(), split, settings, seed=seed)
    return Keeper(folder=folder, about=about, every=_KEPT_EVERY)


def train_supernet(
    net: PureModule,
    space: Space,
    split: "Split",
    settings: SupernetSettings,
    *,
    seed: int,
    among: Sequence[Arch] | None = None,
    report: Report | None = None,
    keeper: Keeper | None = None,
) -> Variables:
    """Trains the shared weights.

    Args:
        among: what is trained, one network at each step; what the settings say if left out.
        keeper: keeps the state on disk and goes on from what is there, to the last bit.

    Raises:
        UserError: when the loss is no longer finite, devices cannot share a batch, or what is kept does not
            fit.
    """
    init_rng, data_rng, arch_rng = np.random.default_rng(seed).spawn(3)
    # With one-hot choices absent blocks cost nothing.
    how = {"hard": True, "dtype": jnp.dtype(settings.precision)}
    if settings.sandwich is None or among is not None:
        passes = one_pass(net, **how)
    else:
        networks, distillation = 2 + settings.sandwich, settings.distillation
        passes = sandwich(net, networks=networks, classes=space.classes, distillation=distillation, **how)
    devices = spread(settings.devices, batch=settings.batch)
    if among is None:
        draw = sampler(
            space,
            largest=settings.largest,
            between=settings.sandwich,
            opens=settings.opens,
            rng=arch_rng,
        )
    else:
        draw = sampler_among(space, among, rng=arch_rng)

    def ranked(variables: Variables, done: int) -> Variables:
        return refresh_ranks(space, variables, part=float(settings.zeros(done)))

    return run(
        net,
        ranked(net.init(init_rng), 0),
        adamw(settings),
        split,
        settings,
        rng=data_rng,
        steps_per_call=min(settings.rank_every, max(settings.steps // _LOOKS, 1)),
        draw=draw,
        between=ranked,
        report=report,
        keeper=keeper,
        passes=passes if devices is None else shared_out(passes, devices.images),
        placement=None if devices is None else devices.whole,
    )
