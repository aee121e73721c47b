import itertools

import numpy as np
import pytest

from sparsenas.builder import Builder
from sparsenas.errors import UserError
from sparsenas.latency.tabulate import tabulate
from sparsenas.sparsity.patterns import DENSE, Sparse
from sparsenas.strategies.differentiable.landing import land, ordered

LEVELS = (DENSE, Sparse(0.7), Sparse(0.8), Sparse(0.95))


def small_space():
    net = Builder("small", image=(8, 8, 3), classes=10)
    x = net.conv_hwc("stem", net.image, net.choice("stem", (8, 16)), activation="relu6")
    for i in range(3):
        width, zeros = net.choice(f"width{i}", (16, 24, 32)), net.choice(f"zeros{i}", LEVELS)
        x = net.conv1x1(f"mix{i}", x, width, activation="relu6", sparsity=zeros)
    return net.classify(x)


SPACE = small_space()
LATENCY = tabulate(SPACE, lambda layer: 1e-3 + layer.macs / 1e7)
EVERYTHING = np.array(list(itertools.product(*(range(len(choice.options)) for choice in SPACE.choices))))
every_ms = LATENCY(EVERYTHING)


def beliefs(seed, sharpness=3.0):
    rng = np.random.default_rng(seed)
    logits = [sharpness * rng.normal(size=len(choice.options)) for choice in SPACE.choices]
    return [np.exp(one) / np.exp(one).sum() for one in logits]


def log_probabilities(probabilities):
    return sum(np.log(one)[EVERYTHING[:, i]] for i, one in enumerate(probabilities))


@pytest.mark.parametrize("seed", range(3))
def test_combinations_come_in_the_order_of_their_scores(seed):
    rng = np.random.default_rng(seed)
    scores = [rng.normal(size=n) for n in (3, 1, 4, 2)]
    found = list(ordered(scores))
    assert len(found) == len(set(found)) == 24
    sums = [sum(one[option] for one, option in zip(scores, arch, strict=True)) for arch in found]
    np.testing.assert_allclose(sums, sorted(sums, reverse=True))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_most_probable_network_just_within_the_target(seed, share):
    probabilities, target_ms = beliefs(seed), float(np.quantile(every_ms, share))
    (found,) = land(SPACE, probabilities, LATENCY, target_ms=target_ms)
    within = (every_ms <= target_ms) & (every_ms > 0.97 * target_ms)
    best = int(np.argmax(np.where(within, log_probabilities(probabilities), -np.inf)))
    assert found == tuple(EVERYTHING[best])


def test_several_come_with_the_most_probable_first():
    probabilities, target_ms = beliefs(0), float(np.quantile(every_ms, 0.5))
    found = land(SPACE, probabilities, LATENCY, target_ms=target_ms, count=5)
    within = np.flatnonzero((every_ms <= target_ms) & (every_ms > 0.97 * target_ms))
    order = within[np.argsort(-log_probabilities(probabilities)[within])][:5]
    assert found == [tuple(EVERYTHING[i]) for i in order]


def test_where_nothing_is_close_the_closest_window_counts():
    fastest = float(every_ms.min())
    others = every_ms[every_ms > fastest]
    # Between the fastest network and the next one.
    target_ms = min(1.05 * fastest, float(others.min()) * 0.999)
    (found,) = land(SPACE, beliefs(0), LATENCY, target_ms=target_ms)
    assert LATENCY([found])[0] == pytest.approx(fastest)


def test_beliefs_far_from_the_target_are_tilted_to_it():
    net = Builder("long", image=(8, 8, 3), classes=10)
    x = net.conv_hwc("stem", net.image, 16)
    for i in range(14):
        x = net.conv1x1(f"mix{i}", x, net.choice(f"width{i}", (8, 16, 24, 32)))
    space = net.classify(x)
    latency = tabulate(space, lambda layer: layer.macs / 1e7)
    # Certain of the largest network, so that a list by probability would never get to half of it.
    probabilities = [np.array([0.0001, 0.0009, 0.009, 0.99])] * 14
    target_ms = float(latency([space.largest])[0]) / 2
    (found,) = land(space, probabilities, latency, target_ms=target_ms)
    assert 0.97 * target_ms < latency([found])[0] <= target_ms
    target_ms = 1.02 * float(latency([space.smallest])[0])
    (found,) = land(space, probabilities, latency, target_ms=target_ms)
    assert latency([found])[0] <= target_ms


def test_a_target_that_nothing_meets_is_a_users_error():
    with pytest.raises(UserError, match=r"of space 'small' .* meets 0\.0001 ms; search longer"):
        land(SPACE, beliefs(0), LATENCY, target_ms=1e-4)
