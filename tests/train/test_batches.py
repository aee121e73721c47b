"""Batches: every image in turn, moved, mirrored and mixed as drawn."""

import itertools

import jax.numpy as jnp
import numpy as np

from sparsenas.train.averaging import averaged
from sparsenas.train.batches import Batch, augmented, batches_of, mixed


def draw(count, **settings):
    options = {"batch": 4, "shift": 0, "flip": False, "rng": np.random.default_rng(0)} | settings
    return list(itertools.islice(batches_of(10, **options), count))


def test_every_image_comes_once_before_any_comes_again():
    indices = np.concatenate([batch.indices for batch in draw(5)])
    assert sorted(indices[:10]) == sorted(indices[10:]) == list(range(10))


def test_shifts_repeat_the_border_and_flips_mirror():
    image = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)

    def moved(shift, flip):
        batch = Batch(
            np.zeros(1, np.int32), np.array([shift]), np.array([flip]), np.zeros(1, int), np.float32(1)
        )
        return np.asarray(augmented(jnp.asarray(image), batch))[0, :, :, 0].tolist()

    assert moved([0, 0], False) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert moved([1, 0], False) == [[3, 4, 5], [6, 7, 8], [6, 7, 8]]
    assert moved([0, -1], False) == [[0, 0, 1], [3, 3, 4], [6, 6, 7]]
    assert moved([0, 0], True) == [[2, 1, 0], [5, 4, 3], [8, 7, 6]]


def cropped(image, crop, flip=False):
    batch = Batch(
        np.zeros(1, np.int32), np.zeros((1, 2), np.int32), np.array([flip]), np.zeros(1, int), np.float32(1),
        np.array([crop], np.float32),
    )  # fmt: skip
    return np.asarray(augmented(jnp.asarray(image[None]), batch))[0]


def test_crops_fill_the_image_by_bilinear_interpolation():
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    np.testing.assert_allclose(cropped(image, [0, 0, 1, 1]), image, atol=1e-3)
    np.testing.assert_allclose(cropped(image, [0, 0, 1, 1], flip=True), image[:, ::-1], atol=1e-3)
    top, left, height, width = 0.25, 0.3, 0.5, 0.6
    expected = np.zeros((6, 8, 3))
    for i, j in np.ndindex(6, 8):
        y = np.clip((top + (i + 0.5) / 6 * height) * 6 - 0.5, 0, 5)
        x = np.clip((left + (j + 0.5) / 8 * width) * 8 - 0.5, 0, 7)
        for r, c in np.ndindex(6, 8):
            expected[i, j] += max(0, 1 - abs(r - y)) * max(0, 1 - abs(c - x)) * image[r, c]
    # Positions are floats of a few pixels, values up to 255.
    np.testing.assert_allclose(cropped(image, [top, left, height, width]), expected, atol=1e-3)


def test_crops_are_inside_and_of_the_area_that_is_asked_for():
    crops = np.concatenate([batch.crops for batch in draw(1000, crop=0.3)])
    top, left, height, width = crops.T
    assert (crops >= 0).all()
    assert (np.maximum(top + height, left + width) <= 1 + 1e-6).all()
    inside = (height < 1) & (width < 1)
    assert (height * width)[inside].min() >= 0.3 - 1e-6
    assert 0.3 <= (height * width)[inside].min() < 0.32
    ratio = (width / height)[inside]
    assert 3 / 4 - 1e-6 <= ratio.min() < 0.77
    assert 1.3 < ratio.max() <= 4 / 3 + 1e-6
    assert draw(1)[0].crops is None


def test_mixing_is_the_formula():
    batch = next(batch for batch in draw(5, mixup=1.0) if (batch.partners != np.arange(4)).any())
    values = np.random.default_rng(1).random((4, 3), np.float32)
    found = mixed(jnp.asarray(values), batch)
    for i in range(4):
        expected = batch.share * values[i] + (1 - batch.share) * values[batch.partners[i]]
        np.testing.assert_allclose(found[i], expected, rtol=1e-6)


def test_shares_are_drawn_from_the_beta_distribution():
    shares = np.array([batch.share for batch in draw(4000, mixup=0.4)])
    # Mean 1/2 and variance 1 / (4 (2 alpha + 1)); 4,000 draws are off by a hundredth or so.
    assert abs(shares.mean() - 0.5) < 0.03
    assert abs(shares.var() - 1 / (4 * 1.8)) < 0.01
    assert {float(batch.share) for batch in draw(5)} == {1.0}


def test_averages_follow_the_formula_and_pruned_weights_stay_0():
    average, values = np.array([1.0, 2.0, 3.0], np.float32), np.array([3.0, 0.0, 1.0], np.float32)
    found = averaged({"w": average}, {"w": values}, 0, decay=0.99)["w"]
    np.testing.assert_allclose(found, [0.1 * 1 + 0.9 * 3, 0, 0.1 * 3 + 0.9 * 1], rtol=1e-6)
    found = averaged({"w": average}, {"w": values}, 10_000, decay=0.99)["w"]
    np.testing.assert_allclose(found, [0.99 * 1 + 0.01 * 3, 0, 0.99 * 3 + 0.01 * 1], rtol=1e-6)
