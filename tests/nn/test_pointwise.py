"""The 1x1 convolution against its formula."""

import numpy as np

from sparsenas.nn.pointwise import pointwise


def test_output_is_the_formula():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(5, 6))
    expected = np.einsum("nhwc,cd->nhwd", x, weight)
    np.testing.assert_allclose(pointwise(np.float32(x), np.float32(weight)), expected, atol=1e-5)
