"""Networks, and the plain forward pass that other tests take as the truth."""

import numpy as np
import pytest

from sparsenas.errors import UserError
from sparsenas.export.network import LayerWeights, Network, random_network, reference
from sparsenas.space import ACTIVATIONS, IMAGE, Layer
from sparsenas.sparsity.patterns import Block, Dense, KernelPattern, NByM, Unstructured


def layer(op, *, inputs=(IMAGE,), c_in=2, c_out=2, height=3, width=4, **settings):
    return Layer(
        name=op, op=op, inputs=inputs, c_in=c_in, c_out=c_out, height=height, width=width, **settings
    )


def run_one(one, weight, bias, image):
    weights = None if weight is None else LayerWeights(np.float32(weight), np.float32(bias))
    network = Network((one,), (weights,), (), image.shape)
    shape = (one.c_out, one.out_height, one.out_width)
    return reference(network, image[None])[0].reshape(shape)


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(size=(3, 4, 2))


def test_conv1x1_is_the_formula(image):
    weight, bias = [[1, 2], [3, -4], [0, 1]], [0.5, 0, 0]
    out = run_one(layer("conv1x1", c_out=3), weight, bias, image)
    np.testing.assert_allclose(out[0], 1 * image[..., 0] + 2 * image[..., 1] + 0.5)
    np.testing.assert_allclose(out[1], 3 * image[..., 0] - 4 * image[..., 1])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("op", ["conv_hwc", "conv", "depthwise"])
def test_windows_are_centred_and_padded_with_zeros(op, stride, image):
    rng = np.random.default_rng(1)
    one = layer(op, kernel=3, stride=stride)
    weight = np.float32(rng.normal(size=one.weight_shape))
    out = run_one(one, weight, [0, 0], image)
    assert out.shape == (2, -(-3 // stride), -(-4 // stride))
    for d, y, x in np.ndindex(out.shape):
        total = 0.0
        for r, s, c in np.ndindex(3, 3, 2):
            row, column = y * stride + r - 1, x * stride + s - 1
            if 0 <= row < 3 and 0 <= column < 4 and (op != "depthwise" or c == d):
                w = {"conv_hwc": (d, r, s, c), "conv": (d, c, r, s), "depthwise": (d, r, s)}[op]
                total += weight[w] * image[row, column, c]
        assert out[d, y, x] == pytest.approx(total)


def test_pool_is_the_mean_and_add_the_sum(image):
    pool = run_one(layer("global_average_pool"), None, None, image)
    np.testing.assert_allclose(pool[:, 0, 0], image.mean((0, 1)))
    both = run_one(layer("add", inputs=(IMAGE, IMAGE)), None, None, image)
    np.testing.assert_allclose(both, 2 * image.transpose(2, 0, 1))


@pytest.mark.parametrize("stride", [1, 2])
def test_odd_pools_look_at_the_pixels_inside_the_image(stride, image):
    for op, expected in (("max_pool", np.max), ("average_pool", np.mean)):
        out = run_one(layer(op, kernel=3, stride=stride), None, None, image)
        assert out.shape == (2, -(-3 // stride), -(-4 // stride))
        for d, y, x in np.ndindex(out.shape):
            top, left = y * stride - 1, x * stride - 1
            window = image[max(top, 0) : top + 3, max(left, 0) : left + 3, d]
            assert out[d, y, x] == pytest.approx(expected(window))


def test_even_pools_leave_out_what_fills_no_window(image):
    for op, expected in (("max_pool", np.max), ("average_pool", np.mean)):
        out = run_one(layer(op, kernel=2, stride=2), None, None, image)
        assert out.shape == (2, 1, 2)
        np.testing.assert_allclose(out[:, 0, 1], expected(image[:2, 2:], axis=(0, 1)))


def test_multiply_takes_a_tensor_or_a_number_per_channel(image):
    both = run_one(layer("multiply", inputs=(IMAGE, IMAGE)), None, None, image)
    np.testing.assert_allclose(both, image.transpose(2, 0, 1) ** 2)
    net = [layer("global_average_pool"), layer("multiply", inputs=(IMAGE, 0))]
    out = reference(Network(tuple(net), (None, None), (), image.shape), image[None])
    np.testing.assert_allclose(out[0], (image * image.mean((0, 1))).transpose(2, 0, 1).ravel())


ACTIVATED = {
    "none": lambda x: x,
    "relu": lambda x: max(x, 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "hard_swish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "swish": lambda x: x / (1 + np.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: min(max(x + 3, 0), 6) / 6,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_is_the_formula(activation, image):
    one = layer("conv1x1", activation=activation)
    out = run_one(one, [[9, 0], [0, 9]], [0, 0], image)
    expected = np.vectorize(ACTIVATED[activation])(9 * image.transpose(2, 0, 1))
    np.testing.assert_allclose(out, expected)


@pytest.mark.parametrize(
    ("op", "pattern", "sparsity"),
    [
        ("conv1x1", Block(2), 0.8),
        ("conv1x1", Block(4), 0.9),
        ("fully_connected", NByM(2, 4), 0.5),
        ("conv", Unstructured(), 0.7),
        ("conv", KernelPattern(), 0.85),
    ],
)
def test_random_network_has_weights_in_the_layers_pattern(op, pattern, sparsity):
    side = 1 if op == "fully_connected" else 5
    one = layer(
        op, c_in=13, c_out=11, height=side, width=side, kernel=3 if op == "conv" else 1, pattern=pattern,
        sparsity=sparsity,
    )  # fmt: skip
    network = random_network([one], seed=0)
    assert network.nonzeros == one.nonzeros
    kept = network.weights[0].weight != 0
    np.testing.assert_array_equal(pattern.stored(network.weights[0].weight), kept)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 1.0])
def test_random_network_has_exactly_the_layers_nonzeros(sparsity):
    one = layer("conv1x1", c_in=12, c_out=9, pattern=Unstructured(), sparsity=sparsity)
    network = random_network([one], seed=0)
    assert network.nonzeros == one.nonzeros
    assert network.image == (3, 4, 12)


def test_random_network_repeats_with_its_seed():
    one = layer("conv1x1", c_in=12, c_out=9)
    first, again, other = (random_network([one], seed=s).weights[0].weight for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_layers_must_fit_what_they_read():
    stem = layer("conv1x1", c_out=5)
    with pytest.raises(UserError, match=r"'add' reads .* 3 x 4 x 2, but 'conv1x1' has 3 x 4 x 5"):
        random_network([stem, layer("add", inputs=(0, 0))], seed=0)
    with pytest.raises(UserError, match=r"'add' \(add\) has 2 inputs, found 1"):
        random_network([layer("add")], seed=0)
    with pytest.raises(UserError, match="must read earlier layers"):
        random_network([stem, layer("add", inputs=(0, 1), c_in=5, c_out=5)], seed=0)


@pytest.mark.parametrize(
    ("weight", "bias", "message"),
    [
        (np.zeros((2, 3), np.float32), np.zeros(2, np.float32), r"float32 \[2, 2\], found float32 \[2, 3\]"),
        (np.zeros((2, 2)), np.zeros(2, np.float32), "found float64"),
        (np.zeros((2, 2), np.float32), np.zeros(1, np.float32), "The bias of layer"),
        (np.full((2, 2), np.nan, np.float32), np.zeros(2, np.float32), "NaN"),
    ],
)
def test_weights_must_fit_the_layer(weight, bias, message):
    with pytest.raises(UserError, match=message):
        Network((layer("conv1x1"),), (LayerWeights(weight, bias),), (), (3, 4, 2))


def test_classes_must_be_as_many_as_outputs():
    head = layer("fully_connected", height=1, width=1, c_out=3, pattern=Dense())
    assert random_network([head], seed=0).classes == ("0", "1", "2")
    with pytest.raises(UserError, match="2 classes"):
        random_network([head], seed=0, classes=["cat", "dog"])


def test_images_must_have_the_networks_shape(image):
    network = random_network([layer("conv1x1")], seed=0)
    with pytest.raises(UserError, match=r"\[N, 3 x 4 x 2\], found \[3, 4, 2\]"):
        reference(network, image)
