"""Statistics of final weights."""

import numpy as np

from sparsenas.builder import Builder
from sparsenas.supernet import supernet
from sparsenas.train.statistics import settled


def network():
    net = Builder("two", image=(6, 6, 3), classes=3)
    x = net.conv_hwc("first", net.image, 4, activation="relu")
    return net.classify(net.conv1x1("second", x, 5, activation="relu"))


def test_statistics_are_those_of_the_images_whatever_they_were():
    net = supernet(network())
    variables = net.init(np.random.default_rng(0))
    images = np.random.default_rng(1).integers(0, 256, (24, 6, 6, 3), np.uint8)
    found = settled(net, variables, images, batch=4).stats
    # The formula for the first layer: its input does not depend on how images are shared out to batches.
    x = np.pad(images.astype(np.float64) / 255, ((0, 0), (1, 1), (1, 1), (0, 0)))
    weight = variables.params["first"]["weight"]
    y = sum(x[:, r : r + 6, s : s + 6] @ weight[r, s] for r in range(3) for s in range(3))
    # Sums of 864 floats.
    np.testing.assert_allclose(found["first"]["mean"], y.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["first"]["variance"], y.var((0, 1, 2)), rtol=1e-4)
    # Normalised channels that were cut off at 0.
    assert (found["second"]["variance"] > 0).all()
    assert not np.allclose(found["second"]["mean"], variables.stats["second"]["mean"])


def test_what_was_there_before_does_not_matter():
    net = supernet(network())
    variables = net.init(np.random.default_rng(0))
    images = np.random.default_rng(1).integers(0, 256, (3, 6, 6, 3), np.uint8)  # Fewer than a batch.
    moved = variables._replace(
        stats={name: {k: v + 7 for k, v in layer.items()} for name, layer in variables.stats.items()}
    )
    for one, other in zip(
        settled(net, variables, images, batch=8).stats.values(),
        settled(net, moved, images, batch=8).stats.values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one["mean"], other["mean"])
        np.testing.assert_array_equal(one["variance"], other["variance"])
