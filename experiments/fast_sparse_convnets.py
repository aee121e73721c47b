"""Wide and sparse against narrow and dense: MobileNet v2 on CIFAR-10.

Command: sparsenas measure --quick, then
sparsenas train --series fast_sparse_convnets --dataset cifar-10-binary.tar.gz
Small, for one processor core: width 0.35, 10,000 training images, 7,500 steps of each network.
--full is width 1.0 on all images, 100 epochs each, for a GPU.
The table lands in runs/fast_sparse_convnets/results.md.
"""

from sparsenas.experiments._cifar10 import Cifar10
from sparsenas.search_spaces.mobilenet_v2 import STAGES, reference

from sparsenas.single.series import Series


def series(width: float, *, limit: int | None, batch: int, first: int, then: int) -> Series:
    """Returns trainings of a width multiplier: `first` steps without zeros, `then` while they come."""
    made = Cifar10(space="mobilenet_v2", limit=limit, batch=batch, first=first, then=then)
    wide = reference(width)
    # Half as wide inside its blocks, which is as fast as the wide one with its zeros.
    narrow = wide | {
        f"stage{i}.block{j}.expansion": 3
        for i, (_, most, _) in enumerate(STAGES[1:], 2)
        for j in range(1, most + 1)
    }
    return Series(
        claim="At equal latency a wide network with zeros is more accurate than a narrow one without; blocks "
        "of four cost little of that.",
        paper="Elsen et al., 2020, https://arxiv.org/abs/1911.09723",
        jobs={
            **made.dense(wide),
            "unstructured-90": made.on(wide, sparsity=0.9, distribution="erk"),
            "block4-85": made.on(wide, sparsity=0.85, pattern="block4", distribution="erk"),
            "dense-narrow": made.new(narrow, steps=first + then),
        },
    )


SERIES = series(0.35, limit=10_000, batch=64, first=2_500, then=5_000)
FULL = series(1.0, limit=None, batch=128, first=20_000, then=15_000)
