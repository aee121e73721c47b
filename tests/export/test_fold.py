"""Folding against JAX's own output."""

import jax
import numpy as np
import pytest

from sparsenas import native
from sparsenas.builder import Builder
from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.network import reference
from sparsenas.export.snas import to_bytes
from sparsenas.search_spaces.tiny import SPACE
from sparsenas.supernet import one_hot, supernet
from sparsenas.train import calibrated
from tests import every_space

CLASSES = [str(i) for i in range(SPACE.classes)]


def trained(space):
    """Returns variables as training leaves them: pruned, statistics not their initial ones."""
    variables = supernet(space).init(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    stats = jax.tree.map(lambda a: rng.uniform(0.2, 0.6, a.shape).astype(np.float32), variables.stats)
    params = {name: dict(layer) for name, layer in variables.params.items()}
    for layer in space.layers(()):
        if layer.name in params:
            weight = np.array(params[layer.name]["weight"])
            weight.flat[rng.permutation(weight.size)[layer.nonzeros :]] = 0
            params[layer.name]["weight"] = weight
        if "scale" in params.get(layer.name, {}):
            for key in ("scale", "offset"):
                params[layer.name][key] = rng.normal(0.5, 0.3, layer.c_out).astype(np.float32)
    return variables._replace(params=params, stats=stats)


def test_the_folded_network_computes_the_same():
    space = SPACE.fixed(SPACE.sample(np.random.default_rng(3)))
    variables = trained(space)
    images = np.random.default_rng(2).random((4, *space.image), np.float32)
    logits, _ = jax.jit(lambda x: supernet(space).apply(variables, x, (), train=False))(images)
    network = fold(space, variables, classes=CLASSES)
    np.testing.assert_allclose(logits, reference(network, images), atol=1e-4)
    assert network.layers == space.layers(())
    assert network.classes == tuple(CLASSES)


def test_padding_of_its_own_is_kept_everywhere():
    net = Builder("padded", image=(37, 33, 3), classes=10)
    x = net.conv_hwc("stem", net.image, 8, kernel=11, stride=4, pad=2, activation="relu")
    x = net.max_pool("pool", x, kernel=3, stride=2, pad=0)
    x = net.average_pool("smooth", net.conv("mix", x, 6, activation="relu"), kernel=3, stride=1, pad=0)
    space = net.classify(x)
    variables = trained(space)
    images = np.random.default_rng(2).random((4, *space.image), np.float32)
    logits, _ = jax.jit(lambda x: supernet(space).apply(variables, x, (), train=False))(images)
    network = fold(space, variables, classes=CLASSES)
    np.testing.assert_allclose(logits, reference(network, images), atol=1e-4)
    np.testing.assert_allclose(native.Model.from_bytes(to_bytes(network)).run(images), logits, atol=1e-4)


def test_pruned_weights_stay_zero():
    space = SPACE.fixed(SPACE.smallest)
    network = fold(space, trained(space), classes=CLASSES)
    for layer, weights in zip(network.layers, network.weights, strict=True):
        if weights is not None:
            assert np.count_nonzero(weights.weight) == layer.nonzeros


def test_missing_zeros_are_an_error():
    space = SPACE.fixed(SPACE.smallest)
    variables = supernet(space).init(np.random.default_rng(0))
    with pytest.raises(
        UserError, match=r"'stage1.block1.expand' is to have at most .* train it with pruning"
    ):
        fold(space, variables, classes=CLASSES)


def test_networks_of_a_supernet_compute_the_same_everywhere():
    """Every operator, kernel size and pattern: the supernet, the folded network and the native runtime."""
    space = every_space.SPACE
    net = supernet(space)
    variables = every_space.moved(net.init(np.random.default_rng(0)))
    images = np.random.default_rng(2).integers(0, 256, (32, *space.image), np.uint8)
    x = images[:4].astype(np.float32) / 255
    run = jax.jit(lambda variables, choices: net.apply(variables, x, choices, train=False)[0])
    calibrate = calibrated(net, space, variables)
    seen = set()
    for seed in range(12):
        arch = space.sample(np.random.default_rng(seed))
        used = calibrate(arch, images)
        logits = run(used, one_hot(space, arch))
        network = fold(space, used, arch=arch, classes="abcd")
        np.testing.assert_allclose(reference(network, x), logits, atol=1e-4)
        np.testing.assert_allclose(native.Model.from_bytes(to_bytes(network)).run(x), logits, atol=1e-4)
        seen |= {(layer.op, layer.pattern.name, layer.kernel) for layer in network.layers}
    assert {pattern for _, pattern, _ in seen} == {
        "dense", "unstructured", "block2", "block4", "2:4", "pattern",
    }  # fmt: skip
    assert {kernel for op, _, kernel in seen if op == "conv"} == {1, 3, 5}


def test_a_folded_network_keeps_the_supernets_mask():
    space = every_space.SPACE
    variables = supernet(space).init(np.random.default_rng(0))
    for seed in range(6):
        arch = space.sample(np.random.default_rng(seed))
        network = fold(space, variables, arch=arch, classes="abcd")
        for layer, weights in zip(network.layers, network.weights, strict=True):
            if weights is not None:
                # Up to 3 x 3 shells of widths, in units of up to 4 weights; a group of four inputs that a
                # width cuts may lose two weights in every row.
                slack = 2 * layer.c_out if layer.pattern.name == "2:4" else 4 * 9 / 2
                assert abs(np.count_nonzero(weights.weight) - layer.nonzeros) <= slack


def test_an_architecture_of_another_space_is_an_error():
    variables = supernet(SPACE).init(np.random.default_rng(0))
    with pytest.raises(UserError, match="An architecture of space 'tiny' has 14 option indices, found 0"):
        fold(SPACE, variables, classes=CLASSES)


def test_weights_that_are_no_numbers_are_an_error():
    variables = supernet(SPACE).init(np.random.default_rng(0))
    variables.params["classifier"]["weight"][0, 0] = np.nan
    with pytest.raises(UserError, match="weight of layer 'classifier' holds NaN or infinity"):
        fold(SPACE, variables, arch=SPACE.largest, classes=CLASSES)
