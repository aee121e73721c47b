"""Searches width, depth and zeros on CIFAR-10, against networks with the same sparsity in all layers.

Command: sparsenas measure --quick, then
sparsenas search --experiment cifar10 --dataset cifar-10-binary.tar.gz --workers 0
Small, for one processor core: the space tiny at 32x32, 10,000 training images. It takes about a quarter of
an hour on an idle core of an AMD EPYC with AVX-512.
The run's folder has the comparison in baselines.json: everything trained and measured alike, all on one core.
"""

from sparsenas.search_settings import SearchSettings
from sparsenas.train import NetworkSettings, SupernetSettings

EXPERIMENT = SearchSettings(
    space="tiny",
    side=32,
    dataset="cifar-10-binary.tar.gz",
    limit=10_000,
    # A third of what the largest network takes without zeros on a core with AVX-512.
    target_ms=0.03,
    strategy="predictor",
    trials=128,
    batch=16,
    finalists=3,
    baselines=(1.0,),
    supernet=SupernetSettings(steps=1_200, flip=True),
    network=NetworkSettings(steps=1_500, learning_rate=1e-2, flip=True),
)
