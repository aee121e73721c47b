"""Where candidates are worked on, and what each may take."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from sparsenas.errors import UserError

_RESOURCE = re.compile(r"(?P<name>[\w:.-]+)=(?P<amount>\d+(\.\d+)?)")


@dataclass(frozen=True)
class Resources:
    """What one candidate occupies of a node.

    Attributes:
        cpu: cores; as many threads compute.
        gpu: a part of one, or several.
        custom: others that nodes lend, such as devices.
    """

    cpu: float = 1
    gpu: float = 0
    custom: tuple[tuple[str, float], ...] = ()

    @property
    def needed(self) -> dict[str, float]:
        """By Ray's names, without what is not needed."""
        all_of_it = {"CPU": self.cpu, "GPU": self.gpu, **dict(self.custom)}
        return {name: amount for name, amount in all_of_it.items() if amount}

    def options(self) -> dict[str, Any]:
        """Returns what Ray's tasks take."""
        return {"num_cpus": self.cpu, "num_gpus": self.gpu, "resources": dict(self.custom) or None}


def parse_resources(text: str) -> Resources:
    """Returns what a text such as `cpu=1,gpu=0.25` asks for; raises `UserError`.

    >>> parse_resources("cpu=2,gpu=0.25,device:pixel6=1").needed
    {'CPU': 2.0, 'GPU': 0.25, 'device:pixel6': 1.0}
    """
    amounts: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _RESOURCE.fullmatch(part)
        if match is None or match["name"] in amounts:
            raise UserError(
                f"Resources are NAME=AMOUNT, each name once, such as cpu=1,gpu=0.25; found {part!r} "
                f"in {text!r}."
            )
        amounts[match["name"]] = float(match["amount"])
    cpu, gpu = amounts.pop("cpu", 1.0), amounts.pop("gpu", 0.0)
    if gpu > 1 and gpu % 1:
        raise UserError(f"A candidate takes a part of one GPU or whole ones, found gpu={gpu:g}.")
    if not cpu and not gpu and not amounts:
        raise UserError(f"A candidate must occupy something, found {text!r}.")
    return Resources(cpu, gpu, tuple(sorted(amounts.items())))


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Where candidates are worked on. It changes how long a run takes, not what it finds.

    Attributes:
        workers: candidates at once: a number, or as many as there is room for. 0 works in this process,
            without Ray.
        cluster: `auto` for the cluster that the variable RAY_ADDRESS names, a Ray of its own on this machine
            where it is not set; or HOST:PORT of a cluster that this machine is part of.
        resources_per_candidate: what each occupies, such as `cpu=1,gpu=0.25`.
        resources_for_supernet: train the supernet as a task that occupies this, such as `cpu=8,gpu=1`; in
            this process if left out.
        insecure_cluster: use a cluster whose ports run anybody's code, as it asks for no token.
        deadline: seconds after which an attempt at a candidate is given to somebody else; ten times the
            longest so far, and at least two minutes, if left out.
        attempts: how often a candidate may fail or take its worker with it before it is given up.
    """

    workers: int | Literal["auto"] = "auto"
    cluster: str = "auto"
    resources_per_candidate: str = "cpu=1"
    resources_for_supernet: str | None = None
    insecure_cluster: bool = False
    deadline: float | None = None
    attempts: int = 8

    def __post_init__(self) -> None:
        if self.workers != "auto" and self.workers < 0:
            raise UserError(f"`workers` must be 0 or more, found {self.workers}.")
        if self.deadline is not None and not self.deadline > 0:
            raise UserError(f"`deadline` must be above 0 seconds, found {self.deadline}.")
        if self.attempts < 1:
            raise UserError(f"`attempts` must be at least 1, found {self.attempts}.")
        parse_resources(self.resources_per_candidate)
        if self.resources_for_supernet is not None:
            parse_resources(self.resources_for_supernet)

    @property
    def resources(self) -> Resources:
        """What each candidate occupies."""
        return parse_resources(self.resources_per_candidate)
