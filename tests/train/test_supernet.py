"""Training of a supernet in every way that the settings say."""

import dataclasses

import jax
import numpy as np
import pytest

from sparsenas.builder import Builder
from sparsenas.errors import UserError
from sparsenas.sparsity.patterns import DENSE, Block, Sparse
from sparsenas.supernet import refresh_ranks, supernet
from sparsenas.train import SupernetSettings, supernet_evaluator, supernet_keeper, train_supernet
from tests.columns import split

SETTINGS = SupernetSettings(steps=60, batch=16, shift=0, rank_every=10)


def small_space():
    net = Builder("small", image=(8, 8, 3), classes=3)
    width = net.choice("width", (8, 16))
    x = net.conv_hwc("stem", net.image, width, stride=2, activation="hard_swish")
    zeros = net.choice("zeros", (DENSE, Sparse(0.5), Sparse(0.75, Block(4))))
    x = net.optional(
        net.choice("depth", (0, 1)) >= 1, x, lambda x: net.conv1x1("mix", x, width, sparsity=zeros)
    )
    return net.classify(net.depthwise("filter", x, kernel=net.choice("kernel", (3, 5)), activation="relu"))


SPACE = small_space()
NET = supernet(SPACE)


TRAIN, VALIDATION = split(90, 0), split(60, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"sandwich": 1},
        {"sandwich": 0, "distillation": False, "widths_from": 0.3, "sparsities_from": 0.6},
        {"precision": "bfloat16", "ema": 0.9},
    ],
    ids=["sandwich", "progressive", "bfloat16"],
)
def test_every_way_of_training_learns(changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    variables = train_supernet(NET, SPACE, TRAIN, settings, seed=0)
    assert {array.dtype for array in jax.tree.leaves(variables)} == {np.dtype(np.float32)}
    evaluate = supernet_evaluator(NET, SPACE, variables, calibration=TRAIN, validation=VALIDATION)
    assert evaluate([SPACE.largest])[0] > 0.8
    jax.tree.map(np.testing.assert_array_equal, refresh_ranks(SPACE, variables).ranks, variables.ranks)


def test_zeros_come_while_the_supernet_trains():
    settings = dataclasses.replace(SETTINGS, prune_begin=0.25, prune_end=0.75)
    assert [float(settings.zeros(step)) for step in (0, 15, 30, 45, 60)] == [0, 0, 0.875, 1, 1]
    at_once = dataclasses.replace(SETTINGS, prune_begin=0, prune_end=0)
    assert float(at_once.zeros(0)) == 1
    # What would have been zero from the start learns as well, unless all zeros are there at once.
    net = Builder("sparse", image=(8, 8, 3), classes=3)
    x = net.conv_hwc("stem", net.image, 8, stride=2, activation="relu")
    space = net.classify(net.conv1x1("mix", x, 8, sparsity=net.choice("zeros", (Sparse(0.5), Sparse(0.75)))))
    first = supernet(space).init(np.random.default_rng(0).spawn(1)[0]).params["mix"]["weight"]
    for how, some_stay in ((settings, False), (at_once, True)):
        how = dataclasses.replace(how, steps=20, weight_decay=0.0)
        variables = train_supernet(supernet(space), space, TRAIN, how, seed=0)
        stay = variables.params["mix"]["weight"] == first
        assert stay.any() == some_stay


def test_training_goes_on_to_the_same_end(tmp_path):
    whole = train_supernet(NET, SPACE, TRAIN, SETTINGS, seed=0)
    stopped = supernet_keeper(tmp_path, SPACE, TRAIN, SETTINGS, seed=0)

    def stop(done, total, metrics):
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_supernet(NET, SPACE, TRAIN, SETTINGS, seed=0, keeper=stopped, report=stop)
    resumed = train_supernet(NET, SPACE, TRAIN, SETTINGS, seed=0, keeper=stopped)
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)
    other = dataclasses.replace(SETTINGS, learning_rate=1e-3)
    with pytest.raises(UserError, match=r"another training: its learning_rate is 0.02, this one's is 0.001"):
        supernet_keeper(tmp_path, SPACE, TRAIN, other, seed=0).load({})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"largest": 1.5}, "`largest` must be from 0 to 1, found 1.5"),
        ({"widths_from": -0.1}, "`widths_from` must be from 0 to 1, found -0.1"),
        ({"sandwich": -1}, "`sandwich` must be at least 0, found -1"),
        (
            {"prune_begin": 0.7},
            r"`prune_begin` \(0.7\) and `prune_end` \(0.6\) must be parts of the training",
        ),
        ({"rank_every": 0}, "`rank_every` must be at least 1, found 0"),
    ],
)
def test_settings_are_checked(changes, message):
    with pytest.raises(UserError, match=message):
        SupernetSettings(**changes)
