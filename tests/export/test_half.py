"""Rounding to half precision."""

import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.export.half import halved
from sparsenas.export.network import LayerWeights, Network
from sparsenas.space import IMAGE, Layer

LAYER = Layer(name="mix", op="conv1x1", inputs=(IMAGE,), c_in=3, c_out=1, height=2, width=2)


def network(*weights, bias=0.0):
    both = LayerWeights(np.array([weights], np.float32), np.array([bias], np.float32))
    return Network((LAYER,), (both,), (), (2, 2, 3))


def test_weights_are_rounded_to_the_nearest():
    found = halved(network(1 + 2**-11, 1 + 3 * 2**-11, -0.1, bias=2049)).weights[0]
    # Ten bits after the first; halfway goes to the even one.
    np.testing.assert_array_equal(found.weight[0, :2], [1, 1 + 2**-9])
    assert found.weight[0, 2] == np.float32(np.float16(-0.1))
    assert found.bias[0] == 2048


def test_zeros_stay_and_no_others_come():
    found = halved(network(0, 1e-12, -1e-12)).weights[0].weight[0]
    assert found[0] == 0
    assert found[1] > 0 > found[2]
    np.testing.assert_array_equal(found, found.astype(np.float16))


def test_weights_beyond_float16_are_an_error():
    with pytest.raises(UserError, match=r"Layer 'mix' has a weight of 70000, float16 ends at 65504"):
        halved(network(1, 70000, 0))
