"""Zeros only where they pay, on CIFAR-10.

Command: sparsenas measure --quick, then
sparsenas train --series holistic_sparse_cnn --dataset cifar-10-binary.tar.gz
Small, for one processor core: the space tiny, 10,000 training images, 2,100 steps of each network.
--full is MobileNet v2 on all images, 100 epochs each, for a GPU.
The table lands in runs/holistic_sparse_cnn/results.md; the one obtained is in README.md beside this file.
Expect guided 69.0% against uniform 68.5% in 0.04 ms, and 66.0% against 64.7% in 0.03 ms (AMD EPYC, one core).
"""

from sparsenas.experiments._cifar10 import Cifar10

from sparsenas.single.series import Series


def series(space: str, arch: str, *, limit: int | None, batch: int, first: int, then: int) -> Series:
    """Returns trainings of an architecture: `first` steps without zeros, `then` while they come."""
    made = Cifar10(space=space, limit=limit, batch=batch, first=first, then=then)
    zeros = {
        f"{how}-{round(100 * sparsity)}": made.on(arch, sparsity=sparsity, distribution=how)
        for sparsity in (0.8, 0.9)
        for how in ("uniform", "guided")
    }
    return Series(
        claim="Guided by the device, a network is as fast as with zeros in all layers alike, and more "
        "accurate.",
        paper="Park et al., 2017, https://arxiv.org/abs/1608.01409",
        jobs={**made.dense(arch, dense=True), **zeros},
    )


SERIES = series("tiny", "largest", limit=10_000, batch=64, first=1_200, then=900)
FULL = series("mobilenet_v2", "1.0", limit=None, batch=128, first=20_000, then=15_000)
