"""Scores of architectures against each of them alone."""

import jax
import numpy as np
import pytest

from sparsenas.data import Split
from sparsenas.errors import UserError
from sparsenas.supernet import one_hot, supernet
from sparsenas.train import calibrated, calibration_images, supernet_evaluator, supernet_scorer
from tests import every_space

SPACE = every_space.SPACE
NET = supernet(SPACE)


def split(n, seed):
    rng = np.random.default_rng(seed)
    return Split(rng.integers(0, 256, (n, *SPACE.image), np.uint8), rng.integers(0, SPACE.classes, n))


CALIBRATION, VALIDATION = split(40, 0), split(70, 1)


@pytest.fixture(scope="module")
def variables():
    return every_space.moved(NET.init(np.random.default_rng(0)))


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_scores_are_those_of_each_architecture_with_its_own_statistics(variables, backend, monkeypatch):
    # What runs elsewhere runs here too, though slower.
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    settings = {
        "calibration": CALIBRATION,
        "validation": VALIDATION,
        "calibration_size": 16,
        "chunk": 3,
    }
    archs = [SPACE.sample(np.random.default_rng(seed)) for seed in range(7)]
    calibrate = calibrated(NET, SPACE, variables)
    x = VALIDATION.images.astype(np.float32) / 255
    run = jax.jit(lambda variables, choices: NET.apply(variables, x, choices, train=False)[0])
    accuracy, loss = [], []
    for arch in archs:
        used = calibrate(arch, calibration_images(CALIBRATION, 16))
        outputs = np.asarray(run(used, one_hot(SPACE, arch)), np.float64)
        accuracy.append((outputs.argmax(-1) == VALIDATION.labels).mean())
        parts = np.exp(outputs) / np.exp(outputs).sum(-1, keepdims=True)
        loss.append(-np.log(parts[np.arange(70), VALIDATION.labels]).mean())
    assert len(set(accuracy)) > 1
    scores = supernet_scorer(NET, SPACE, variables, **settings)(archs)
    # A tie of two classes may fall either way.
    np.testing.assert_allclose(scores.accuracy, accuracy, atol=1.5 / 70)
    np.testing.assert_allclose(scores.loss, loss, rtol=1e-3)
    evaluate = supernet_evaluator(NET, SPACE, variables, **settings)
    np.testing.assert_array_equal(evaluate(archs), scores.accuracy)
    assert evaluate([]).shape == (0,)


def test_calibration_images_are_spread_over_the_split():
    numbered = Split(
        np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8), None
    )
    assert calibration_images(numbered, 4)[:, 0, 0, 0].tolist() == [0, 13, 26, 39]
    assert len(calibration_images(numbered, 100)) == 40


def test_weights_that_are_no_numbers_are_an_error(variables):
    broken = {name: dict(layer) for name, layer in variables.params.items()}
    broken["mix"]["weight"] = broken["mix"]["weight"] * np.float32(np.nan)
    with pytest.raises(UserError, match="weight of layer 'mix' of the supernet holds NaN or infinity"):
        supernet_evaluator(
            NET,
            SPACE,
            variables._replace(params=broken),
            calibration=CALIBRATION,
            validation=VALIDATION,
        )
