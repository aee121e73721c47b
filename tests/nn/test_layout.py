import numpy as np
import pytest

from sparsenas.nn.layout import outputs_first, outputs_last


@pytest.mark.parametrize(
    ("op", "trained", "native"),
    [
        ("conv_hwc", (3, 3, 4, 5), (5, 3, 3, 4)),
        ("conv", (3, 3, 4, 5), (5, 4, 3, 3)),
        ("conv1x1", (4, 5), (5, 4)),
        ("depthwise", (3, 3, 5), (5, 3, 3)),
        ("fully_connected", (12, 5), (5, 12)),
    ],
)
def test_outputs_come_first_and_last_again(op, trained, native):
    weight = np.random.default_rng(0).random(trained)
    turned = outputs_first(op, weight)
    assert turned.shape == native
    np.testing.assert_array_equal(turned[2], outputs_first(op, weight[..., 2:3])[0])
    np.testing.assert_array_equal(outputs_last(op, turned), weight)
