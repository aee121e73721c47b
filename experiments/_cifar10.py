"""What experiments on CIFAR-10 have in common: first a network without zeros, then what starts from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparsenas.single.series import Job
from sparsenas.single.settings import TrainSettings
from sparsenas.train import NetworkSettings

Arch = str | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Cifar10:
    """Makes the trainings of an experiment.

    Attributes:
        space: by name.
        limit: at most this many images of each split.
        batch: images of a step.
        first: steps of the network that the others start from.
        then: steps of these, while zeros come.
    """

    space: str
    limit: int | None
    batch: int
    first: int
    then: int

    def dense(self, arch: Arch, **settings: Any) -> dict[str, Job]:
        """Returns the training of the network without zeros, and of the same for as long as the others."""
        return {
            "dense": self.new(arch, steps=self.first, **settings),
            "dense-on": self.on(arch, dense=True),
        }

    def new(self, arch: Arch, *, steps: int, **settings: Any) -> Job:
        """Trains from random weights on."""
        return self._job(arch, NetworkSettings(steps=steps, learning_rate=1e-2, **self._alike()), settings)

    def on(self, arch: Arch, **settings: Any) -> Job:
        """Trains from the weights of `dense` on."""
        network = NetworkSettings(steps=self.then, learning_rate=5e-3, prune_begin=0.05, **self._alike())
        return self._job(arch, network, {"start": "dense", **settings})

    def _alike(self) -> dict[str, Any]:
        return {"batch": self.batch, "flip": True}

    def _job(self, arch: Arch, network: NetworkSettings, settings: dict[str, Any]) -> Job:
        return Job(
            arch=arch,
            settings=TrainSettings(
                space=self.space,
                side=32,
                dataset="cifar-10-binary.tar.gz",
                limit=self.limit,
                device="local",
                network=network,
                **settings,
            ),
        )
