"""Kernel patterns against unstructured zeros and fewer filters: ResNet on CIFAR-10.

Command: sparsenas measure --quick, then
sparsenas train --series pconv --dataset cifar-10-binary.tar.gz
Small, for one processor core: four blocks of 16 to 128 channels, 10,000 training images, 7,000 steps of each
network.
--full is ResNet-18 on all images, 100 epochs each, for a GPU.
The table lands in runs/pconv/results.md.
"""

from sparsenas.experiments._cifar10 import Cifar10

from sparsenas.blocks import EIGHTFOLD
from sparsenas.single.series import Series


def series(
    widths: tuple[int, ...],
    fewer: tuple[int, ...],
    *,
    depth: int,
    unstructured: float,
    limit: int | None,
    batch: int,
    first: int,
    then: int,
) -> Series:
    """Returns trainings of a ResNet: `first` steps without zeros, `then` while they come.

    Args:
        widths: channels of the stages.
        fewer: those of a network without zeros that is about as fast as the one with patterns. It is trained
            from scratch, no worse than with filters taken from a trained one (Liu et al., 2019,
            https://arxiv.org/abs/1810.05270).
        unstructured: fraction of zeros that is about as fast.
    """
    made = Cifar10(space="resnet", limit=limit, batch=batch, first=first, then=then)
    wide, narrow = (
        {f"stage{i}.width": width for i, width in enumerate(found, 1)}
        | {f"stage{i}.depth": depth for i in range(1, len(found) + 1)}
        for found in (widths, fewer)
    )
    return Series(
        claim="At equal latency kernel patterns are more accurate than unstructured zeros, and these than "
        "fewer filters.",
        paper="Ma et al., 2020, https://arxiv.org/abs/1909.05073",
        jobs={
            **made.dense(wide),
            "pattern": made.on(wide, sparsity=EIGHTFOLD, pattern="pattern"),
            "unstructured": made.on(wide, sparsity=unstructured),
            "filters": made.new(narrow, steps=first + then),
        },
    )


SERIES = series(
    (16, 32, 64, 128),
    (8, 16, 32, 64),
    depth=1,
    unstructured=0.9,
    limit=10_000,
    batch=64,
    first=3_000,
    then=4_000,
)
FULL = series(
    (64, 128, 256, 512), (32, 64, 128, 256), depth=2, unstructured=0.84, limit=None, batch=128, first=20_000,
    then=15_000,
)  # fmt: skip
