"""Every algorithm trains a real network to exactly the zeros of its layers."""

import dataclasses

import numpy as np
import pytest

from sparsenas.builder import Builder
from sparsenas.data import Split
from sparsenas.errors import UserError
from sparsenas.sparsity.patterns import Sparse
from sparsenas.supernet import supernet
from sparsenas.train import NetworkSettings, accuracy, train_network
from sparsenas.train.pruning import pruning_steps, schedule_of


def space():
    net = Builder("pruned", image=(8, 8, 3), classes=3)
    x = net.conv_hwc("stem", net.image, 8, stride=2, activation="relu6")
    x = net.conv1x1("mix", x, 24, activation="relu6", sparsity=Sparse(0.8))
    return net.classify(net.depthwise("filter", x, activation="relu6"))


def split(n, seed):
    """Noise with a bright column, left, in the middle or right."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 3).astype(np.int32)
    images = rng.integers(0, 90, (n, 8, 8, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 1 + 2 * label : 3 + 2 * label, label] += 140
    return Split(images, labels)


SETTINGS = NetworkSettings(steps=100, batch=16, shift=1, prune_every=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"score": "movement", "ema": 0.9, "mixup": 0.2, "clip": 1.0, "crop": 0.5},
        {"score": "first_order", "prune_power": 0.0},
        {"algorithm": "rigl"},
        {"algorithm": "sr_ste"},
        {"algorithm": "admm"},
        {"algorithm": "l0"},
        {"prune_begin": 1.0, "prune_end": 1.0},
    ],
    ids=lambda changes: "-".join(f"{value}" for value in changes.values()),
)
def test_it_learns_and_has_exactly_the_promised_zeros(changes):
    network = space()
    found = train_network(network, split(90, 0), dataclasses.replace(SETTINGS, **changes), seed=0)
    for layer in network.layers(()):
        if layer.weight_shape is not None:
            assert np.count_nonzero(found.params[layer.name]["weight"]) == layer.nonzeros
    if "prune_begin" not in changes:  # Pruned by the last step, nothing is tuned.
        assert accuracy(supernet(network), found, split(60, 1)) > 0.8


@pytest.mark.parametrize("steps", [1, 2, 7, 100])
@pytest.mark.parametrize(("begin", "end"), [(0.0, 0.0), (0.0, 1.0), (0.3, 0.3), (1.0, 1.0), (0.15, 0.6)])
def test_pruning_ends_within_the_training(steps, begin, end):
    settings = NetworkSettings(steps=steps, prune_begin=begin, prune_end=end)
    assert pruning_steps(settings)[1] < steps
    assert float(schedule_of(settings)(steps - 1)) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prune_begin": 0.7}, r"`prune_begin` \(0.7\) and `prune_end` \(0.6\)"),
        ({"prune_power": -1}, "`prune_power` must be at least 0, found -1"),
        ({"prune_every": 0}, "`prune_every` must be at least 1, found 0"),
        ({"steps": 0}, "`steps` must be at least 1, found 0"),
        ({"mixup": -0.1}, "`mixup` must be at least 0, found -0.1"),
        ({"crop": 0.0}, "`crop` must be above 0 and at most 1, found 0.0"),
        ({"ema": 1}, "`ema` must be at least 0 and below 1, found 1"),
        ({"clip": 0}, "`clip` must be above 0, found 0; leave it out"),
        ({"learning_rate": 0}, "`learning_rate` must be above 0, found 0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be above 0, found nan"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes, says):
    with pytest.raises(UserError, match=says):
        NetworkSettings(**changes)
