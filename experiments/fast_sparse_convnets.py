"""Wide and sparse against narrow and dense, on CIFAR-10.

Command: sparsenas train --series fast_sparse_convnets --dataset cifar-10-binary.tar.gz
The table lands in runs/fast_sparse_convnets/results.md. With --device in a job's settings it has predicted
milliseconds as well; `sparsenas profile` measures any of the model files.
"""

from sparsenas.single.series import Job, Series
from sparsenas.single.settings import TrainSettings
from sparsenas.train import NetworkSettings

NETWORK = NetworkSettings(steps=20_000, batch=128, flip=True, shift=4, ema=0.999, prune_every=100)


def job(arch: str, **settings) -> Job:
    return Job(
        arch=arch, settings=TrainSettings(dataset="cifar-10-binary.tar.gz", network=NETWORK, **settings)
    )


SERIES = Series(
    claim="For its multiply-adds a wide network with zeros is more accurate than a narrow one without; "
    "blocks of four cost little of that.",
    paper="Elsen et al., 2020, https://arxiv.org/abs/1911.09723",
    jobs={
        "dense": job("dense"),
        "dense-narrow": job("smallest", dense=True),
        "unstructured-90": job("largest", sparsity=0.9),
        "block4-90": job("largest", sparsity=0.9, pattern="block4"),
        "unstructured-90-erk": job("largest", sparsity=0.9, distribution="erk"),
    },
)
