"""Training that was stopped goes on to the last bit."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from sparsenas import checkpoint
from sparsenas.builder import Builder
from sparsenas.data import Split
from sparsenas.errors import UserError
from sparsenas.sparsity.patterns import Sparse
from sparsenas.train import Keeper, NetworkSettings, train_network

pytestmark = pytest.mark.usefixtures("compiled_once")


def space(width=8):
    net = Builder("kept", image=(8, 8, 3), classes=3)
    x = net.conv_hwc("stem", net.image, width, stride=2, activation="relu6")
    x = net.conv1x1("mix", x, 16, activation="relu6", sparsity=Sparse(0.75))
    return net.classify(x)


SPACE = space()
# Everything that is drawn or remembered: mixed images, momentum, average, masks, gates.
SETTINGS = NetworkSettings(
    steps=100, batch=8, shift=1, flip=True, mixup=0.3, ema=0.9, clip=1.0, prune_every=3, prune_end=0.8
)


def split(seed=0):
    rng = np.random.default_rng(seed)
    labels = (np.arange(50) % 3).astype(np.int32)
    return Split(rng.integers(0, 256, (50, 8, 8, 3), np.uint8), labels)


class Stop(Exception):
    """Raised in the middle of a training, as a power failure would."""


def stop_at(step, error=Stop):
    def report(done, total, metrics):
        if done >= step:
            raise error

    return report


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def keeper(folder, every=40, **about):
    return Keeper(folder=folder, about=about, every=every)


@pytest.fixture(scope="module")
def expected():
    """What comes out when nothing is stopped."""
    return train_network(SPACE, split(), SETTINGS, seed=0)


# Of what is drawn and remembered, l0 has the most: gates, samples, weights behind them.
@pytest.mark.parametrize("algorithm", ["gradual", "l0"])
def test_a_resumed_training_gives_the_same_bits(tmp_path, algorithm, expected):
    settings = SETTINGS
    if algorithm != SETTINGS.algorithm:
        settings = dataclasses.replace(SETTINGS, algorithm=algorithm, ema=0.0)
        expected = train_network(SPACE, split(), settings, seed=0)
    with pytest.raises(Stop):
        train_network(SPACE, split(), settings, seed=0, keeper=keeper(tmp_path), report=stop_at(60))
    assert keeper(tmp_path).last == 40
    seen = []

    def report(done, *_):
        seen.append(done)

    found = train_network(SPACE, split(), settings, seed=0, keeper=keeper(tmp_path), report=report)
    assert seen == [60, 80, 100]
    same(found, expected)
    # Once more there is nothing to do.
    same(train_network(SPACE, split(), settings, seed=0, keeper=keeper(tmp_path), report=report), expected)
    assert seen == [60, 80, 100]


def test_ctrl_c_keeps_what_was_done(tmp_path, expected):
    seldom, stop = keeper(tmp_path, every=1000), stop_at(20, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        train_network(SPACE, split(), SETTINGS, seed=0, keeper=seldom, report=stop)
    assert seldom.last == 20
    same(train_network(SPACE, split(), SETTINGS, seed=0, keeper=seldom), expected)


def test_divergence_keeps_the_last_good_state_and_says_where(tmp_path):
    with pytest.raises(Stop):
        train_network(SPACE, split(), SETTINGS, seed=0, keeper=keeper(tmp_path, every=20), report=stop_at(40))
    # What follows is no number, as if the rate had been too high.
    step, arrays, about = checkpoint.last_step(tmp_path)
    arrays["state/params/mix/weight"][:] = np.inf
    checkpoint.save_step(tmp_path, step, arrays, about=about)
    with pytest.raises(UserError, match=rf"loss of step {step} is not finite.*after {step} steps, is in"):
        train_network(SPACE, split(), SETTINGS, seed=0, keeper=keeper(tmp_path, every=20))
    assert keeper(tmp_path).last == step


def test_a_damaged_checkpoint_does_not_count(tmp_path, expected):
    with pytest.raises(Stop):
        train_network(SPACE, split(), SETTINGS, seed=0, keeper=keeper(tmp_path, every=20), report=stop_at(80))
    assert sorted(checkpoint.steps(tmp_path)) == [60, 80]
    newest = tmp_path / "step-00000080.safetensors"
    content = bytearray(newest.read_bytes())
    content[-5] ^= 1
    newest.write_bytes(content)
    assert checkpoint.last_step(tmp_path)[0] == 60
    same(train_network(SPACE, split(), SETTINGS, seed=0, keeper=keeper(tmp_path)), expected)


def test_checkpoints_say_what_they_are_and_others_are_refused(tmp_path):
    train_network(SPACE, split(), SETTINGS, seed=0, keeper=keeper(tmp_path, space="kept"))
    manifest = json.loads((tmp_path / "step-00000100.json").read_text())
    assert manifest["step"] == 100
    assert manifest["arrays"]["state/params/mix/weight"] == ["float32", [8, 16]]
    assert manifest["about"]["space"] == "kept"
    assert {"jax", "backend", "cores"} <= manifest["about"].keys()
    with pytest.raises(UserError, match="belong to another training: its space is kept, this one's is wide"):
        train_network(SPACE, split(), SETTINGS, seed=0, keeper=keeper(tmp_path, space="wide"))
    with pytest.raises(
        UserError, match=r"should have shape \[16, 16\], found \[8, 16\]; it belongs to another"
    ):
        train_network(space(16), split(), SETTINGS, seed=0, keeper=keeper(tmp_path, space="kept"))
    with pytest.raises(UserError, match="`every` of checkpoints must be at least 1, found 0"):
        keeper(tmp_path, every=0)
