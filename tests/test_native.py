"""The native runtime computes what the plain reference does, and survives any file."""

import re
import zlib
from dataclasses import replace

import numpy as np
import pytest

from sparsenas import native
from sparsenas.errors import UserError
from sparsenas.export.network import LayerWeights, Network, random_network, reference
from sparsenas.export.snas import to_bytes, write
from sparsenas.space import ACTIVATIONS, IMAGE, Layer
from sparsenas.sparsity.patterns import Block, Dense, KernelPattern, NByM, Unstructured
from tests.native_networks import GOLDEN, ISAS, Chain, layer, whole_network


def assert_computes(network, *, isa, images=2, seed=0):
    """Compares the outputs with the reference; returns the model."""
    x = np.random.default_rng(seed).random((images, *network.image), np.float32)
    model = native.Model.from_bytes(to_bytes(network), isa=isa)
    outputs, expected = model.run(x), reference(network, x)
    assert outputs.shape == expected.shape
    assert outputs.dtype == np.float32
    # Rounding of float32 grows with the nonzeros of a row, of which there are at most some hundred, and
    # the layers; errors that matter are larger by orders of magnitude.
    tolerance = 200 * np.finfo(np.float32).eps * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=tolerance)
    return model


SIZES = [
    (1, 1),
    (1, 5),
    (2, 2),
    (3, 1),
    (4, 4),
    (7, 7),
    (8, 8),
    (9, 16),
    (13, 15),
    (16, 16),
    (17, 33),
    (33, 17),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_network_computes_what_the_reference_does(size, stride, isa):
    assert_computes(whole_network(*size, sparsity=0.8, stride=stride), isa=isa)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.39, 0.5, 0.7, 0.9, 0.99, 1.0])
def test_any_density(sparsity, isa):
    assert_computes(whole_network(9, 14, sparsity=sparsity, stride=1), isa=isa)


SINGLE = [
    layer("conv1x1", c_in=70, c_out=33, height=5, width=7, sparsity=0.8),
    layer("conv1x1", c_in=300, c_out=5, height=28, width=28, sparsity=0.9, activation="relu6"),
    layer("conv1x1", c_in=70, c_out=33, height=5, width=7),
    layer("conv1x1", c_in=4, c_out=3, sparsity=0.5),
    layer("depthwise", c_in=11, height=14, width=14, activation="relu"),
    layer("depthwise", c_in=11, height=15, width=29, stride=2),
    layer("add", c_in=5, height=6, width=7, inputs=(IMAGE, IMAGE)),
    layer("global_average_pool", c_in=19, height=7, width=7),
    layer("fully_connected", c_in=600, c_out=10),
    layer("fully_connected", c_in=600, c_out=10, sparsity=0.9),
    layer("fully_connected", c_in=600, c_out=37, sparsity=0.97),
    layer("fully_connected", c_in=603, c_out=37, sparsity=0.5, pattern=NByM(2, 4)),
    layer("fully_connected", c_in=600, c_out=37, sparsity=0.9, pattern=Block(2)),
    layer("fully_connected", c_in=600, c_out=38, sparsity=0.9, pattern=Block(4), activation="sigmoid"),
    layer("conv1x1", c_in=70, c_out=33, height=5, width=7, sparsity=0.8, pattern=Block(2)),
    layer(
        "conv1x1", c_in=70, c_out=35, height=7, width=7, sparsity=0.9, pattern=Block(4), activation="swish"
    ),
    layer("conv1x1", c_in=70, c_out=35, height=28, width=28, sparsity=0.9, pattern=Block(4)),
    layer("conv", c_in=12, c_out=20, height=9, width=7),
    layer("conv", c_in=12, c_out=20, height=9, width=14, stride=2, activation="hard_swish"),
    layer("conv", c_in=5, c_out=9, height=11, width=7, kernel=7),
    layer("conv", c_in=12, c_out=20, height=9, width=7, sparsity=0.9),
    layer("conv", c_in=12, c_out=20, height=28, width=28, kernel=5, stride=2, sparsity=0.95),
    layer("conv", c_in=12, c_out=20, height=9, width=7, sparsity=0.9, pattern=KernelPattern()),
    layer("conv", c_in=12, c_out=20, height=29, width=16, stride=2, sparsity=0.8, pattern=KernelPattern()),
    layer("depthwise", c_in=11, height=14, width=14, kernel=5),
    layer("depthwise", c_in=11, height=15, width=9, kernel=7, stride=2),
    layer("max_pool", c_in=11, height=14, width=14, kernel=3, stride=2),
    layer("max_pool", c_in=11, height=15, width=9, kernel=2, stride=2),
    layer("average_pool", c_in=11, height=14, width=14, kernel=3, stride=1),
    layer("average_pool", c_in=11, height=15, width=9, kernel=2, stride=2, activation="relu"),
    layer("multiply", c_in=5, height=6, width=7, inputs=(IMAGE, IMAGE)),
    layer("conv_hwc", c_in=3, c_out=9, height=17, width=20, kernel=7, stride=2),
    layer("conv_hwc", c_in=1, c_out=9, height=11, width=12),
    layer("conv_hwc", c_in=4, c_out=8, height=32, width=32, stride=2, activation="relu6"),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("one", SINGLE, ids=lambda one: f"{one.op}-{one.c_in}-{one.pattern.name}")
def test_single_layer_reads_the_image_itself(one, isa):
    model = assert_computes(random_network([one], seed=5), isa=isa)
    assert len(model.layers) == 1
    assert model.layers[0].kernel_name.endswith(isa) or isa not in model.layers[0].kernel_name


@pytest.mark.parametrize("isa", ISAS)
def test_copies_of_a_layer_may_all_read_the_image(isa):
    copies = [
        layer("conv1x1", c_in=12, c_out=20, height=6, width=6, sparsity=0.8, name=f"copy{i}")
        for i in range(5)
    ]
    model = assert_computes(random_network(copies, seed=1), isa=isa)
    assert model.profile(3).shape == (3, 5)


@pytest.mark.parametrize("isa", ISAS)
def test_vectors_and_planes_of_one_pixel_are_converted(isa):
    net = Chain()
    net("conv1x1", c_in=6, height=4, width=4, c_out=20)
    pool = net("global_average_pool")
    net("conv1x1", c_out=20, activation="relu")
    middle = net("fully_connected", c_out=20)
    net("add", inputs=(pool, middle))
    net("depthwise")
    net("global_average_pool")
    net("fully_connected", c_out=9)
    assert_computes(random_network(net.layers, seed=2), isa=isa)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("height", [1, 7])
def test_gates_multiply_whole_channels(height, isa):
    net = Chain()
    start = net("conv1x1", c_in=6, height=height, width=height, c_out=20, activation="relu6")
    net("global_average_pool")
    net("fully_connected", c_out=5, activation="swish")
    gate = net("fully_connected", c_out=20, activation="hard_sigmoid")
    net("multiply", inputs=(start, gate))
    net("global_average_pool")
    planes = net("conv1x1", c_out=20, activation="sigmoid")
    net("multiply", inputs=(start, planes), activation="hard_swish")
    assert_computes(random_network(net.layers, seed=2), isa=isa)


ACTIVATED_OPS = [
    {"op": "conv_hwc", "c_in": 3, "c_out": 9},
    {"op": "conv1x1", "c_in": 8, "c_out": 9},
    {"op": "conv1x1", "c_in": 30, "c_out": 9, "sparsity": 0.9},
    {"op": "conv1x1", "c_in": 30, "c_out": 9, "sparsity": 0.9, "pattern": Block(2)},
    {"op": "conv1x1", "c_in": 30, "c_out": 9, "sparsity": 0.9, "pattern": Block(4)},
    {"op": "conv", "c_in": 8, "c_out": 9},
    {"op": "conv", "c_in": 30, "c_out": 9, "sparsity": 0.95},
    {"op": "conv", "c_in": 30, "c_out": 9, "sparsity": 0.9, "pattern": KernelPattern()},
    {"op": "depthwise", "c_in": 9},
    {"op": "add", "c_in": 9, "inputs": (IMAGE, IMAGE)},
    {"op": "multiply", "c_in": 9, "inputs": (IMAGE, IMAGE)},
    {"op": "max_pool", "c_in": 9, "kernel": 3},
    {"op": "average_pool", "c_in": 9, "kernel": 3},
    {"op": "global_average_pool", "c_in": 9},
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_operator_has_every_activation(activation, isa):
    for settings in ACTIVATED_OPS:
        one = layer(**settings, height=5, width=9, activation=activation)
        assert_computes(random_network([one], seed=5), isa=isa)


LARGE = [
    {"op": "conv1x1", "c_in": 64, "c_out": 70},
    {"op": "conv1x1", "c_in": 128, "c_out": 70, "sparsity": 0.8},
    {"op": "conv1x1", "c_in": 128, "c_out": 71, "sparsity": 0.8, "pattern": Block(2)},
    {"op": "conv1x1", "c_in": 128, "c_out": 71, "sparsity": 0.8, "pattern": Block(4)},
    {"op": "conv", "c_in": 32, "c_out": 33},
    {"op": "conv", "c_in": 32, "c_out": 33, "sparsity": 0.9},
    {"op": "conv", "c_in": 32, "c_out": 33, "sparsity": 0.9, "pattern": KernelPattern()},
    {"op": "conv_hwc", "c_in": 8, "c_out": 65},
    {"op": "depthwise", "c_in": 701, "kernel": 3},
    {"op": "add", "c_in": 701, "inputs": (IMAGE, IMAGE)},
    {"op": "multiply", "c_in": 701, "inputs": (IMAGE, IMAGE)},
    {"op": "max_pool", "c_in": 701, "kernel": 3},
    {"op": "average_pool", "c_in": 701, "kernel": 2, "stride": 2},
    {"op": "global_average_pool", "c_in": 901},
]


@pytest.mark.parametrize("settings", LARGE, ids=lambda s: f"{s['op']}-{s.get('pattern', Dense()).name}")
def test_threads_share_a_layer_and_change_nothing(settings):
    network = random_network([layer(**settings, height=28, width=28, activation="relu")], seed=1)
    x = np.random.default_rng(0).random((2, *network.image), np.float32)
    data = to_bytes(network)
    alone = native.Model.from_bytes(data).run(x)
    for threads in (2, 3, 7):
        model = native.Model.from_bytes(data, threads=threads)
        assert model.threads == threads
        for _ in range(3):
            np.testing.assert_allclose(model.run(x), alone, rtol=1e-5, atol=1e-5)


def test_threads_run_a_whole_network():
    network = whole_network(33, 17, sparsity=0.7, stride=1)
    x = np.random.default_rng(0).random((3, *network.image), np.float32)
    data = to_bytes(network)
    np.testing.assert_allclose(
        native.Model.from_bytes(data, threads=2).run(x), native.Model.from_bytes(data).run(x), atol=1e-5
    )
    for threads in (0, 1000):
        with pytest.raises(UserError, match="`threads` must be"):
            native.Model.from_bytes(data, threads=threads)


def test_buffers_are_reused_without_mixing_up():
    net = Chain()
    first = net("conv1x1", c_in=8, height=10, width=10, c_out=16, activation="relu6")
    for _ in range(10):
        net("conv1x1", c_out=16, activation="relu6")
    last = net("conv1x1", c_out=16)
    net("add", inputs=(first, last))
    model = assert_computes(random_network(net.layers, seed=2), isa=None)
    tensor = 16 * 112 * 4  # 100 pixels take 112 floats.
    # The first layer's output, two that take turns, and the image of half their size.
    assert model.arena_bytes == 3 * tensor + tensor // 2


def test_garbage_of_one_run_never_reaches_the_next():
    network = whole_network(9, 14, sparsity=0.8, stride=1)
    model = native.Model.from_bytes(to_bytes(network))
    x = np.random.default_rng(0).random((1, 9, 14, 3), np.float32)
    before = model.run(x)
    assert not np.isfinite(model.run(np.full_like(x, np.nan))).all()
    np.testing.assert_array_equal(model.run(x), before)


@pytest.mark.parametrize("isa", ISAS)
def test_golden_file_gives_the_same_outputs_for_ever(isa):
    model = native.Model.open(GOLDEN / "tiny_v1.snas", isa=isa)
    image = np.fromfile(GOLDEN / "tiny_v1.image.f32", "<f4").reshape(1, *model.image)
    expected = np.fromfile(GOLDEN / "tiny_v1.outputs.f32", "<f4")
    np.testing.assert_allclose(model.run(image)[0], expected, rtol=1e-4, atol=1e-5)
    assert model.classes == ("cat", "dog", "Kuh", "canapé", "魚")
    assert model.outputs == 5
    packed = native.Model.open(GOLDEN / "tiny_v3.snas", isa=isa)
    assert packed.classes == model.classes
    # Weights of half precision, 2^-11 of each.
    np.testing.assert_allclose(packed.run(image)[0], expected, rtol=0.01, atol=0.01)


def test_layers_say_how_they_run():
    model = native.Model.open(GOLDEN / "tiny_v1.snas", isa="scalar")
    by_name = {planned.name: planned for planned in model.layers}
    assert list(by_name) == [
        "stem", "expand", "filter", "project", "join", "peak", "shrink", "direct", "kernels", "full",
        "smooth", "halve", "pairs", "widen", "squeeze", "reduce", "excite", "scale", "pool", "gather",
        "flatten", "both", "classifier",
    ]  # fmt: skip
    assert by_name["gather"].kernel_name == "fully_connected_unstructured_scalar"
    assert (by_name["gather"].nonzeros, by_name["gather"].weights) == (9, 1572)
    assert (by_name["widen"].pattern, by_name["reduce"].pattern) == ("block4", "2:4")
    assert by_name["join"].inputs == (0, 3)
    assert by_name["shrink"].stride == 2
    assert model.isa == "scalar"


def test_layer_with_few_zeros_runs_dense_and_says_so():
    few = layer("conv1x1", c_in=32, c_out=32, height=8, width=8, sparsity=0.2)
    (planned,) = native.Model.from_bytes(to_bytes(random_network([few], seed=0))).layers
    assert planned.pattern == "unstructured"
    assert "conv1x1_dense" in planned.kernel_name
    assert re.fullmatch(r"dense: 20% zeros, pays from \d\d%", planned.note)
    many = layer("conv1x1", c_in=32, c_out=32, height=8, width=8, sparsity=0.9)
    (planned,) = native.Model.from_bytes(to_bytes(random_network([many], seed=0))).layers
    assert "conv1x1_unstructured" in planned.kernel_name
    assert re.fullmatch(r"unstructured: 90% zeros, pays from \d\d%", planned.note)
    (planned,) = native.Model.from_bytes(
        to_bytes(random_network([replace(many, sparsity=0.0, pattern=Dense())], seed=0))
    ).layers
    assert planned.note == "dense: no zeros"
    (planned,) = native.Model.from_bytes(
        to_bytes(random_network([layer("depthwise", c_in=9)], seed=0))
    ).layers
    assert planned.note == ""


def planned(one, weight=None):
    """Returns how a layer runs, with random weights where none are given."""
    if weight is None:
        network = random_network([one], seed=0)
    else:
        bias = np.zeros(one.c_out, np.float32)
        image = (one.height, one.width, one.c_in)
        network = Network((one,), (LayerWeights(np.float32(weight), bias),), (), image)
    return assert_computes(network, isa=None).layers[0]


def test_a_layer_in_a_pattern_runs_in_it():
    for pattern in (Unstructured(), Block(2), Block(4)):
        one = layer("conv1x1", c_in=128, c_out=128, height=14, width=14, sparsity=0.9, pattern=pattern)
        assert f"conv1x1_{pattern.name}_" in planned(one).kernel_name
    # Weights that come from beyond the level 2 cache.
    for pattern, name in (
        (Unstructured(), "unstructured"),
        (Block(4), "block4"),
        (NByM(2, 4), "two_of_four"),
    ):
        sparsity = 0.5 if name == "two_of_four" else 0.9
        one = layer("fully_connected", c_in=4096, c_out=1024, sparsity=sparsity, pattern=pattern)
        assert f"fully_connected_{name}_" in planned(one).kernel_name
        assert "% zeros, pays from " in planned(one).note
    for pattern, name in ((Unstructured(), "direct"), (KernelPattern(), "pattern")):
        one = layer("conv", c_in=64, c_out=64, height=14, width=14, sparsity=0.9, pattern=pattern)
        assert f"conv_{name}_" in planned(one).kernel_name
        assert "% zeros, pays from " in planned(one).note


def test_zeros_decide_how_a_layer_runs_not_its_label():
    size = {"c_in": 128, "c_out": 128, "height": 14, "width": 14}
    rng = np.random.default_rng(0)
    pruned = np.where(rng.random((128, 128)) < 0.1, 1.0, 0.0)
    one = planned(layer("conv1x1", **size), pruned)
    assert (one.pattern, one.nonzeros) == ("dense", 128 * 128)
    assert "conv1x1_unstructured_" in one.kernel_name
    assert "unstructured: 90% zeros, pays from" in one.note
    # A block of 4 with one nonzero is three zeros to multiply.
    one = planned(layer("conv1x1", **size, sparsity=0.9, pattern=Block(4)), pruned)
    assert "conv1x1_unstructured_" in one.kernel_name
    assert "unstructured: 90% zeros, 4x1 estimated to take" in one.note


def test_measured_times_have_sane_shapes():
    model = native.Model.open(GOLDEN / "tiny_v1.snas")
    whole, layers = model.measure(7), model.profile(5)
    assert whole.shape == (7,)
    assert layers.shape == (5, len(model.layers))
    assert (whole > 0).all()
    assert (layers >= 0).all()
    assert layers.sum() > 0
    with pytest.raises(UserError, match="at least 1"):
        model.measure(0)


def test_written_file_opens(tmp_path):
    network = whole_network(5, 5, sparsity=0.7, stride=1)
    path = tmp_path / "mödel.snas"
    write(network, path)
    assert native.Model.open(path).image == (5, 5, 3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 9, 7), np.float32), r"float32 \[N, 9, 7, 3\], found float32 \[1, 9, 7\]"),
        (np.zeros((1, 7, 9, 3), np.float32), r"found float32 \[1, 7, 9, 3\]"),
        (np.zeros((1, 9, 7, 3)), "found float64"),
        (np.zeros((3, 7, 9, 1), np.float32).T, "C-contiguous"),
        ([[1.0]], "found list"),
    ],
)
def test_wrong_images_are_refused(images, message):
    with pytest.raises(UserError, match=message):
        native.Model.open(GOLDEN / "tiny_v1.snas").run(images)


@pytest.mark.parametrize(("op", "kernel"), [("conv_hwc", 3), ("conv1x1", 1)])
def test_prepared_images_give_the_same_whenever_asked(op, kernel):
    # The first operator decides how images are laid out.
    layer = Layer(name="layer", op=op, inputs=(-1,), c_in=3, c_out=4, height=5, width=6, kernel=kernel)
    model = native.Model.from_bytes(to_bytes(random_network([layer], seed=0)))
    images = np.random.default_rng(0).random((3, 5, 6, 3), np.float32)
    run = model.prepared(images)
    np.testing.assert_array_equal(run(), model.run(images))
    # One after the other, each as if it were alone.
    np.testing.assert_array_equal(run(), np.concatenate([model.run(image[None]) for image in images]))
    with pytest.raises(UserError, match="found float64"):
        model.prepared(images.astype(np.float64))


def test_no_images_give_no_outputs():
    model = native.Model.open(GOLDEN / "tiny_v1.snas")
    assert model.run(np.zeros((0, 9, 7, 3), np.float32)).shape == (0, 5)


def test_unknown_isa_lists_those_there_are():
    with pytest.raises(UserError, match="scalar"):
        native.Model.open(GOLDEN / "tiny_v1.snas", isa="mmx")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"Cannot read '.*none\.snas': No such file"):
        native.Model.open(tmp_path / "none.snas")
    with pytest.raises(UserError, match="regular file"):
        native.Model.open(tmp_path)


def test_newer_version_is_refused_with_both_numbers():
    data = bytearray((GOLDEN / "tiny_v1.snas").read_bytes())
    data[4] = 9
    with pytest.raises(UserError, match=r"offset 4: version .*newer.* at most 3, found 9"):
        native.Model.from_bytes(data)


@pytest.mark.parametrize("name", ["tiny_v1.snas", "tiny_v3.snas"])
def test_every_truncation_is_an_error(name):
    data = (GOLDEN / name).read_bytes()
    for size in range(len(data)):
        with pytest.raises(UserError, match="Model 'bytes', offset "):
            native.Model.from_bytes(data[:size])


def test_every_flipped_byte_is_an_error():
    data = bytearray((GOLDEN / "tiny_v1.snas").read_bytes())
    for i in range(len(data)):
        data[i] ^= 0x40
        with pytest.raises(UserError, match="Model 'bytes', offset "):
            native.Model.from_bytes(data)
        data[i] ^= 0x40


@pytest.mark.parametrize(
    ("name", "mask"),
    [("tiny_v1.snas", 0x01), ("tiny_v1.snas", 0x80), ("tiny_v1.snas", 0xFF), ("tiny_v3.snas", 0xFF)],
)
def test_forged_file_is_an_error_or_runs(name, mask):
    """With a checksum that fits, a flip may give another sound model, but never a crash."""
    data = bytearray((GOLDEN / name).read_bytes())
    image = np.random.default_rng(0).random((1, 9, 7, 3), np.float32)
    errors, ran = [], 0
    for i in range(20, len(data)):
        data[i] ^= mask
        data[16:20] = zlib.crc32(data[20:]).to_bytes(4, "little")
        try:
            model = native.Model.from_bytes(data)
        except UserError as error:
            errors.append(str(error))
        else:
            assert model.image == (9, 7, 3)
            assert model.run(image).shape == (1, 5)
            ran += 1
        data[i] ^= mask
    # Most bytes are weights, of which any is as good as another that is finite.
    assert ran > 1000
    assert len(errors) > 300
    assert all(error.startswith("Model 'bytes', offset ") for error in errors)
    assert not any("\n" in error for error in errors)


@pytest.mark.parametrize(
    ("one", "pattern", "message"),
    [
        (layer("conv", c_in=9, c_out=5, height=4, width=4, sparsity=0.7), 5, "4 entries with the centre"),
        (layer("conv", c_in=2, c_out=5, height=4, width=4, sparsity=0.6, kernel=5), 5, "kernel patterns"),
        (layer("fully_connected", c_in=90, c_out=5, sparsity=0.3), 4, "at most 2 of columns 4 k to 4 k"),
        (layer("conv1x1", c_in=9, c_out=5, height=4, width=4, sparsity=0.7), 5, r"pattern of conv1x1"),
        (layer("conv1x1", c_in=9, c_out=5, height=4, width=4, sparsity=0.7), 2, "counts bytes: expected 12"),
    ],
)
def test_weights_that_break_the_promise_of_their_pattern_are_refused(one, pattern, message):
    data = bytearray(to_bytes(random_network([one], seed=0)))
    data[64 + 4] = pattern
    data[16:20] = zlib.crc32(data[20:]).to_bytes(4, "little")
    with pytest.raises(UserError, match=rf"^Model 'bytes', offset \d+: layer 0 .*{message}"):
        native.Model.from_bytes(data)


def test_unsupported_stride_is_refused():
    one = layer("depthwise", c_in=4, height=9, width=9, stride=3)
    with pytest.raises(UserError, match="stride 1 to 2, found kernel 3 and stride 3"):
        native.Model.from_bytes(to_bytes(random_network([one], seed=0)))


def test_huge_activations_are_refused_before_they_are_claimed():
    one = layer("conv1x1", c_in=1, c_out=4, height=30000, width=30000)
    with pytest.raises(UserError, match="MiB for its activations"):
        native.Model.from_bytes(to_bytes(random_network([one], seed=0)))


def test_machine_is_described():
    cpu = native.cpu()
    assert cpu["isa"] in ISAS
    assert cpu["cores"] >= 1
    assert cpu["l1d_bytes"] >= 8 * 1024
    assert cpu["l2_bytes"] >= cpu["l1d_bytes"]
    assert len(native.build_id()) == 16
    assert native.peak_gflops() > 0.1


def test_pin_refuses_a_core_that_is_not_there():
    with pytest.raises(UserError, match="100000"):
        native.pin(100000)
