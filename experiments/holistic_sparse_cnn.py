"""Zeros only where they pay, on CIFAR-10.

Command: sparsenas measure --space tiny, then
sparsenas train --series holistic_sparse_cnn --dataset cifar-10-binary.tar.gz
The table lands in runs/holistic_sparse_cnn/results.md; milliseconds are predicted from this machine's table.
"""

from sparsenas.single.series import Job, Series
from sparsenas.single.settings import TrainSettings
from sparsenas.train import NetworkSettings

NETWORK = NetworkSettings(steps=20_000, batch=128, flip=True, shift=4, ema=0.999, prune_every=100)
COMMON = {"dataset": "cifar-10-binary.tar.gz", "device": "local", "start": "dense"}

SERIES = Series(
    claim="Guided by the device, a network is as fast as with zeros in all layers alike, and more accurate.",
    paper="Park et al., 2017, https://arxiv.org/abs/1608.01409",
    jobs={
        "dense": Job(
            arch="dense",
            settings=TrainSettings(dataset=COMMON["dataset"], device=COMMON["device"], network=NETWORK),
        ),
        **{
            f"{how}-{round(100 * zeros)}": Job(
                arch="largest",
                settings=TrainSettings(**COMMON, network=NETWORK, sparsity=zeros, distribution=how),
            )
            for zeros in (0.8, 0.9)
            for how in ("uniform", "guided")
        },
    },
)
