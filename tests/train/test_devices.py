"""Batches over several devices, which JAX makes of one processor in a process of its own."""

import os
import subprocess
import sys

import pytest

from sparsenas.errors import UserError
from sparsenas.train.devices import spread

SAME_ON_TWO = """
import numpy as np
from sparsenas.builder import Builder
from sparsenas.data import Split
from sparsenas.supernet import supernet
from sparsenas.train import SupernetSettings, train_supernet
import jax

assert len(jax.devices()) == 2
net = Builder("small", image=(6, 6, 3), classes=3)
x = net.conv_hwc("stem", net.image, net.choice("width", (4, 8)), stride=2, activation="relu6")
space = net.classify(net.depthwise("filter", x, activation="relu6"))
rng = np.random.default_rng(0)
split = Split(rng.integers(0, 256, (32, 6, 6, 3), np.uint8), np.arange(32, dtype=np.int32) % 3)
found = [
    train_supernet(
        supernet(space), space, split,
        SupernetSettings(steps=6, batch=8, rank_every=3, sandwich=0, devices=devices), seed=0,
    )
    for devices in (1, 2)
]
# Sums over a batch in another order.
jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), *found)
print("the same")
"""


def test_two_devices_train_the_same_supernet():
    flags = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SAME_ON_TWO], env=flags, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.endswith("the same\n"), done.stderr


def test_one_device_spreads_nothing():
    assert spread(1, batch=7) is None
    assert spread(None, batch=7) is None


def test_devices_that_are_not_there_are_an_error():
    with pytest.raises(UserError, match="`devices` must be from 1 to 1, those that JAX has, found 64"):
        spread(64, batch=64)
