"""Zeros only where they pay, on CIFAR-10.

Command: sparsenas measure --quick, then
sparsenas train --series holistic_sparse_cnn --dataset cifar-10-binary.tar.gz
Small, for one processor core: the space tiny, 10,000 training images, 2,100 steps of each network.
--full is MobileNet v2 on all images, 100 epochs each, for a GPU.
The table lands in runs/holistic_sparse_cnn/results.md; the one obtained is in README.md beside this file.
Expect guided 69.0% against uniform 68.5% in 0.04 ms, and 66.0% against 64.7% in 0.03 ms (AMD EPYC, one core).
"""

from sparsenas.single.series import Job, Series
from sparsenas.single.settings import TrainSettings
from sparsenas.train import NetworkSettings


def series(space: str, arch: str, *, limit: int | None, batch: int, first: int, then: int) -> Series:
    """Returns trainings of an architecture: `first` steps without zeros, `then` while they come."""
    common = {
        "space": space,
        "side": 32,
        "dataset": "cifar-10-binary.tar.gz",
        "limit": limit,
        "device": "local",
    }
    alike = {"batch": batch, "flip": True}
    on = {
        **common,
        "start": "dense",
        "network": NetworkSettings(steps=then, learning_rate=5e-3, prune_begin=0.05, **alike),
    }
    jobs = {
        "dense": Job(
            arch=arch,
            settings=TrainSettings(
                dense=True, network=NetworkSettings(steps=first, learning_rate=1e-2, **alike), **common
            ),
        ),
        "dense-on": Job(arch=arch, settings=TrainSettings(dense=True, **on)),
    }
    for zeros in (0.8, 0.9):
        for how in ("uniform", "guided"):
            settings = TrainSettings(sparsity=zeros, distribution=how, **on)
            jobs[f"{how}-{round(100 * zeros)}"] = Job(arch=arch, settings=settings)
    return Series(
        claim="Guided by the device, a network is as fast as with zeros in all layers alike, and more "
        "accurate.",
        paper="Park et al., 2017, https://arxiv.org/abs/1608.01409",
        jobs=jobs,
    )


SERIES = series("tiny", "largest", limit=10_000, batch=64, first=1_200, then=900)
FULL = series("mobilenet_v2", "1.0", limit=None, batch=128, first=20_000, then=15_000)
