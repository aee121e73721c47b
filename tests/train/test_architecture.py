"""Weights and architecture trained in turns."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from sparsenas import checkpoint
from sparsenas.builder import Builder
from sparsenas.data import Split
from sparsenas.errors import UserError
from sparsenas.latency.tabulate import tabulate
from sparsenas.sparsity.patterns import DENSE, Block, Sparse
from sparsenas.strategies.differentiable.catalog import DIFFERENTIABLE
from sparsenas.strategies.differentiable.landing import land
from sparsenas.supernet import supernet
from sparsenas.train import ArchitectureSettings, Keeper, supernet_evaluator, train_architecture
from sparsenas.train.architecture import halves
from tests.columns import split

pytestmark = pytest.mark.usefixtures("compiled_once")

SETTINGS = ArchitectureSettings(steps=60, batch=16, shift=0, rank_every=10, learning_rate=0.1)


def small_space():
    net = Builder("small", image=(8, 8, 3), classes=3)
    width = net.choice("width", (8, 12, 16))
    x = net.conv_hwc("stem", net.image, width, stride=2, activation="hard_swish")
    zeros = net.choice("zeros", (DENSE, Sparse(0.5), Sparse(0.75, Block(4))))
    x = net.optional(
        net.choice("depth", (0, 1)) >= 1, x, lambda x: net.conv1x1("mix", x, width, sparsity=zeros)
    )
    x = net.depthwise("filter", x, kernel=net.choice("kernel", (3, 5)), activation="relu")
    for i in range(2):
        x = net.conv1x1(f"last{i}", x, net.choice(f"width{i}", range(8, 33, 2)), activation="relu")
    return net.classify(x)


SPACE = small_space()
NET = supernet(SPACE)
LATENCY = tabulate(SPACE, lambda layer: 1e-3 + layer.macs / 1e7)
FASTEST = LATENCY.least(len(SPACE.choices))[1]
SLOWEST = LATENCY.most(len(SPACE.choices))[1]
TRAIN, VALIDATION = split(90, 0), split(60, 1)


def between(share):
    return FASTEST + share * (SLOWEST - FASTEST)


def search(name="darts", *, settings=SETTINGS, share=0.5, **how):
    return train_architecture(
        NET,
        SPACE,
        TRAIN,
        DIFFERENTIABLE[name](),
        LATENCY.expected,
        settings,
        target_ms=between(share),
        seed=0,
        **how,
    )


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_every_search_learns_and_goes_on_to_the_same_bits(name, tmp_path):
    seen = []
    whole = search(name, report=lambda *found: seen.append(found))
    assert [(done, total) for done, total, _ in seen] == [(done, 60) for done in range(10, 61, 10)]
    assert set(seen[0][2]) == {"loss", "accuracy", "latency_ms", "multiplier", "learning_rate"}
    assert seen[-1][2]["accuracy"] > 0.8
    assert whole.beliefs.at == (10, 20, 30, 40, 50, 60)

    kept = Keeper(folder=tmp_path, about={"space": SPACE.fingerprint()}, every=20)

    def stop(done, total, metrics):
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(name, keeper=kept, report=stop)
    assert kept.last == 30
    resumed = search(name, keeper=kept)
    jax.tree.map(np.testing.assert_array_equal, resumed.logits, whole.logits)
    jax.tree.map(np.testing.assert_array_equal, resumed.variables, whole.variables)
    jax.tree.map(np.testing.assert_array_equal, resumed.beliefs.probabilities, whole.beliefs.probabilities)
    assert resumed.multiplier == whole.multiplier


@pytest.mark.parametrize("share", [0.1, 0.25, 0.45, 0.65, 0.85])
def test_one_run_lands_at_its_target(share):
    settings = dataclasses.replace(SETTINGS, steps=160)
    found = search(settings=settings, share=share)
    target_ms = between(share)
    # Beliefs alone come close already; rounding is what landing mends.
    assert LATENCY.expected(found.beliefs.last) == pytest.approx(target_ms, rel=0.25)
    (arch,) = land(SPACE, found.beliefs.last, LATENCY, target_ms=target_ms)
    assert 0.97 * target_ms < LATENCY([arch])[0] <= target_ms


def test_weights_of_the_search_score_what_it_found():
    found = search("proxyless", settings=dataclasses.replace(SETTINGS, steps=120))
    archs = land(SPACE, found.beliefs.last, LATENCY, target_ms=between(0.5))
    evaluate = supernet_evaluator(NET, SPACE, found.variables, calibration=TRAIN, validation=VALIDATION)
    assert evaluate(archs)[0] > 0.6


def test_logits_stay_even_while_they_are_frozen():
    found = search(settings=dataclasses.replace(SETTINGS, steps=20, frozen=0.5))
    first, last = (tuple(one[i] for one in found.beliefs.probabilities) for i in (0, 1))
    for one in first:
        np.testing.assert_allclose(one, 1 / len(one), rtol=1e-6)
    assert any(np.ptp(one) > 0.01 for one in last)


def test_the_architecture_is_judged_by_images_that_weights_do_not_see():
    # Every image has its own colour.
    images = np.arange(90, dtype=np.uint8).reshape(90, 1, 1, 1) * np.ones((1, 8, 8, 3), np.uint8)
    settings = dataclasses.replace(SETTINGS, held=0.2)
    weights, held = halves(Split(images, TRAIN.labels), settings, np.random.default_rng(0))
    ours, theirs = (set(part.images[:, 0, 0, 0].tolist()) for part in (weights, held))
    assert ours | theirs == set(range(90))
    assert not ours & theirs
    assert np.bincount(held.labels).tolist() == [6, 6, 6]


def test_divergence_is_a_users_error_and_keeps_the_last_good_state(tmp_path):
    kept = Keeper(folder=tmp_path, about={}, every=10)

    def stop(done, total, metrics):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(keeper=kept, report=stop)
    step, arrays, about = checkpoint.last_step(tmp_path)
    arrays["state/params/mix/weight"][:] = np.inf
    checkpoint.save_step(tmp_path, step, arrays, about=about)
    with pytest.raises(UserError, match="loss of step 20 is not finite.*`learning_rate` than 0.1.*after 20"):
        search(keeper=kept)
    manifest = json.loads((tmp_path / "step-00000020.json").read_text())
    assert manifest["step"] == 20


def test_too_few_images_are_a_users_error():
    few = Split(TRAIN.images[:3], TRAIN.labels[:3])
    with pytest.raises(UserError, match="two or more training images of a class, 3 images leave 3 for"):
        halves(few, SETTINGS, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "`steps` must be at least 1, found 0"),
        ({"rank_every": 0}, "`rank_every` must be at least 1, found 0"),
        ({"held": 1.0}, "`held` must be above 0 and below 1, found 1.0"),
        ({"frozen": 1.0}, "`frozen` must be at least 0 and below 1, found 1.0"),
        ({"below": -0.1}, "`below` must be at least 0 and below 1, found -0.1"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0, found 0.0"),
        ({"travel": float("nan")}, "`travel` must be above 0, found nan"),
        ({"damping": -1.0}, "`damping` must be at least 0, found -1.0"),
    ],
)
def test_settings_are_checked(changes, message):
    with pytest.raises(UserError, match=message):
        ArchitectureSettings(**changes)
