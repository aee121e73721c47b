"""Training on images that a few steps suffice for."""

import dataclasses

import jax
import numpy as np
import pytest

from sparsenas.builder import Builder
from sparsenas.errors import UserError
from sparsenas.sparsity.patterns import DENSE, Sparse
from sparsenas.supernet import supernet
from sparsenas.train import (
    NetworkSettings,
    SupernetSettings,
    accuracy,
    logits,
    supernet_evaluator,
    train_network,
    train_supernet,
)
from tests.columns import split


def small_space():
    net = Builder("small", image=(8, 8, 3), classes=3)
    x = net.conv_hwc("stem", net.image, 8, stride=2, activation="relu6")
    x = net.conv1x1(
        "mix", x, net.choice("width", (8, 16)), activation="relu6",
        sparsity=net.choice("zeros", (DENSE, Sparse(0.8))),
    )  # fmt: skip
    return net.classify(net.depthwise("filter", x, activation="relu6"))


SPACE = small_space()
FIXED = SPACE.fixed((1, 1))
SUPERNET = SupernetSettings(steps=45, batch=16, shift=1)
NETWORK = NetworkSettings(steps=80, batch=16, shift=1)


TRAIN, VALIDATION = split(90, 0), split(50, 1)


@pytest.fixture(scope="module")
def trained():
    return train_network(FIXED, TRAIN, NETWORK, seed=0)


@pytest.fixture(scope="module")
def evaluate():
    net = supernet(SPACE)
    variables = train_supernet(net, SPACE, TRAIN, SUPERNET, seed=0)
    return supernet_evaluator(net, SPACE, variables, calibration=TRAIN, validation=VALIDATION, chunk=3)


def test_a_network_learns_and_has_the_promised_zeros(trained):
    assert accuracy(supernet(FIXED), trained, VALIDATION) > 0.9
    for layer in FIXED.layers(()):
        if layer.weight_shape is not None:
            assert np.count_nonzero(trained.params[layer.name]["weight"]) == layer.nonzeros


def test_the_same_seed_trains_the_same_network(trained):
    jax.tree.map(np.testing.assert_array_equal, train_network(FIXED, TRAIN, NETWORK, seed=0), trained)


def test_logits_do_not_depend_on_the_other_images(trained):
    net = supernet(FIXED)
    some = logits(net, trained, VALIDATION.images[:7])
    many = logits(net, trained, np.concatenate([VALIDATION.images] * 6))
    assert many.shape == (300, 3)
    # Products over another number of rows may be summed in another order.
    np.testing.assert_allclose(some, many[:7], atol=1e-5)


def test_a_trained_supernet_scores_above_chance(evaluate):
    assert evaluate([SPACE.largest])[0] > 0.8


def test_scores_do_not_depend_on_how_architectures_are_grouped(evaluate):
    archs = [(i, j) for i in range(2) for j in range(2)]
    together = evaluate(archs)
    assert together.dtype == np.float64
    np.testing.assert_array_equal(together, [evaluate([arch])[0] for arch in archs])
    np.testing.assert_array_equal(together[::-1], evaluate(archs[::-1]))


def test_reports_reach_the_last_step():
    seen = []
    settings = dataclasses.replace(NETWORK, steps=27)
    train_network(FIXED, TRAIN, settings, seed=0, report=lambda *found: seen.append(found))
    assert [(step, total) for step, total, _ in seen] == [(20, 27), (27, 27)]
    assert all(set(metrics) == {"loss", "accuracy", "learning_rate"} for *_, metrics in seen)


def test_divergence_is_a_users_error_with_step_and_rate():
    settings = dataclasses.replace(NETWORK, learning_rate=1e30, warmup=0.0)
    with pytest.raises(UserError, match=r"loss of step \d+ is not finite, at learning rate .*1e\+30"):
        train_network(FIXED, TRAIN, settings, seed=0)


def test_only_a_space_without_choices_is_trained_as_a_network():
    with pytest.raises(ValueError, match="must have no choices, found 2"):
        train_network(SPACE, TRAIN, NETWORK, seed=0)
