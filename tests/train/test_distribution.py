"""Which layers get zeros, on a device that never was."""

import dataclasses
import itertools

import numpy as np
import pytest

from sparsenas.builder import Builder
from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency.model import LatencyModel
from sparsenas.space import IMAGE, Layer
from sparsenas.sparsity.guided import losses
from sparsenas.sparsity.patterns import DENSE, Block, KernelPattern, NByM, Sparse, Unstructured
from sparsenas.train.distribution import (
    guided_fractions,
    learned_patterns,
    prunable,
    shared_out,
    sparse,
    trained_weights,
    with_fractions,
    with_sparsity,
)
from tests.latency.made_up import table_of, table_of_space

TINY = find_space("tiny")
SPACE = TINY.fixed(TINY.largest, dense=True)
LAYERS = {layer.name: layer for layer in SPACE.layers(())}
PATTERNS = prunable(SPACE)


@pytest.fixture(scope="module")
def model():
    """Zeros make a layer's multiply-adds a third dearer: below a quarter of zeros they cost time."""
    return LatencyModel.from_table(table_of_space(TINY))


def weights(seed=0):
    """Weights of any spread within a layer: in some, few carry nearly everything."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.normal(size=LAYERS[name].weight_shape) * np.exp(rng.random() * 3 * rng.normal(size=()))
        * np.exp((i % 3) * rng.normal(size=LAYERS[name].weight_shape))
        for i, name in enumerate(PATTERNS)
    }  # fmt: skip


def lost(weights, fractions):
    return sum(
        losses(weights[n], [PATTERNS[n].keep(weights[n] ** 2, f)])[0] for n, f in fractions.items() if f
    )


def overall(space, names):
    layers = [layer for layer in space.layers(()) if layer.name in names]
    sizes = [np.prod(layer.weight_shape) for layer in layers]
    return 1 - sum(layer.nonzeros for layer in layers) / sum(sizes)


def conv_space():
    net = Builder("convs", image=(16, 16, 3), classes=4)
    x = net.conv_hwc("stem", net.image, 8)
    x = net.conv("one", x, 16)
    x = net.conv("two", x, 16, kernel=1)
    return net.classify(net.conv("three", x, 32))


def test_layers_that_mix_channels_are_pruned_but_the_first_and_the_last():
    assert set(PATTERNS) == {name for name, layer in LAYERS.items() if layer.op == "conv1x1"}
    assert prunable(conv_space()) == dict.fromkeys(["one", "two", "three"], Unstructured())


def test_a_layer_that_cannot_have_the_pattern_is_unstructured():
    kernels = KernelPattern()
    assert prunable(conv_space(), kernels) == {"one": kernels, "two": Unstructured(), "three": kernels}


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (KernelPattern(), r"No layer with 3x3 kernels of space 'tiny' can have zeros in the pattern pattern"),
        (NByM(), r"No layer of space 'tiny' can have zeros in the pattern 2:4; its layers are conv1x1"),
    ],
)
def test_a_pattern_that_no_layer_can_have_is_refused(pattern, says):
    with pytest.raises(UserError, match=says):
        prunable(SPACE, pattern)


@pytest.mark.parametrize("how", ["uniform", "erk"])
@pytest.mark.parametrize("pattern", [Unstructured(), Block(4)])
def test_an_overall_fraction_is_shared_out(how, pattern):
    found = shared_out(SPACE, 0.9, pattern, how=how)
    # Each layer rounds to whole units, of four weights at most.
    most = 4 * len(PATTERNS) / sum(np.prod(LAYERS[name].weight_shape) for name in PATTERNS)
    assert overall(found, PATTERNS) == pytest.approx(0.9, abs=most)
    layers = {layer.name: layer for layer in found.layers(())}
    for name in LAYERS:
        assert layers[name].pattern.name == (pattern.name if layers[name].sparsity else "dense")
        assert (name in PATTERNS) or not layers[name].sparsity
    fractions = {layers[name].sparsity for name in PATTERNS}
    assert (len(fractions) == 1) == (how == "uniform")


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_no_zeros_and_nothing_but_zeros_are_refused(fraction):
    with pytest.raises(UserError, match="must be above 0 and below 1"):
        shared_out(SPACE, fraction)


def test_zeros_are_replaced_not_added():
    some = with_sparsity(SPACE, {"stage1.block1.expand": Sparse(0.5)})
    again = with_fractions(some, {"stage1.block1.project": 0.7}, PATTERNS)
    assert {layer.name: layer.sparsity for layer in again.layers(()) if layer.sparsity} == {
        "stage1.block1.project": 0.7
    }
    assert DENSE.fraction == 0


@pytest.mark.parametrize("seed", range(3))
def test_guided_is_as_fast_as_uniform_and_loses_less(model, seed):
    held = weights(seed)
    found = guided_fractions(list(LAYERS.values()), held, model, PATTERNS, fraction=0.8)
    uniform = {layer.name: 0.8 for layer in LAYERS.values() if layer.name in PATTERNS}
    layers = [sparse(layer, 0.8, PATTERNS[n]) if n in PATTERNS else layer for n, layer in LAYERS.items()]
    assert found.target_ms == pytest.approx(model.predict(layers))
    assert found.predicted_ms <= found.target_ms * (1 + 1e-6)
    assert found.lost < lost(held, uniform)
    assert found.lost == pytest.approx(lost(held, found.fractions))
    network = with_fractions(SPACE, found.fractions, PATTERNS).layers(())
    assert model.predict(network) == pytest.approx(found.predicted_ms)


def test_a_target_is_met_and_a_lower_one_loses_more(model):
    dense_ms = model.predict(list(LAYERS.values()))
    held = weights()
    found = [
        guided_fractions(list(LAYERS.values()), held, model, PATTERNS, target_ms=dense_ms * share)
        for share in (1.0, 0.9, 0.8, 0.7)
    ]
    assert set(found[0].fractions.values()) == {0.0}
    for one, share in zip(found, (1.0, 0.9, 0.8, 0.7), strict=True):
        assert one.predicted_ms <= dense_ms * share * (1 + 1e-6)
        for name, fraction in one.fractions.items():
            band = one.bands[name]
            assert not fraction or band.first <= fraction <= band.last
    assert all(a.lost < b.lost for a, b in itertools.pairwise(found))


def test_a_layer_where_zeros_do_not_pay_stays_dense():
    large = Layer(name="large", op="conv1x1", inputs=(IMAGE,), c_in=64, c_out=128, height=14, width=14)
    small = dataclasses.replace(large, name="small", c_in=8, c_out=8, height=4, width=4, inputs=(0,))
    layers = [large, small]
    variants = [
        dataclasses.replace(one, pattern=Unstructured(), sparsity=f)
        for one in layers
        for f in (0.5, 0.9, 0.98)
    ]
    table = table_of([*layers, *variants])
    flat = [
        dataclasses.replace(m, us=5.0, low_us=4.9, high_us=5.1) if m.layer.c_in == 8 else m
        for m in table.layers
    ]
    model = LatencyModel.from_table(dataclasses.replace(table, layers=tuple(flat)))
    rng = np.random.default_rng(0)
    held = {one.name: rng.normal(size=one.weight_shape) for one in layers}
    patterns = dict.fromkeys(held, Unstructured())
    found = guided_fractions(layers, held, model, patterns, target_ms=model.predict(layers) * 0.6)
    assert found.fractions["small"] == 0
    assert found.bands["small"] is None
    assert found.fractions["large"] > 0
    with pytest.raises(
        UserError, match=r"no faster than .* ms on device 'made-up', found a target of 0\.0001"
    ):
        guided_fractions(layers, held, model, patterns, target_ms=1e-4)


def test_either_a_target_or_a_fraction(model):
    for given in ({}, {"target_ms": 1.0, "fraction": 0.5}):
        with pytest.raises(UserError, match="found both or neither"):
            guided_fractions(list(LAYERS.values()), weights(), model, PATTERNS, **given)
    with pytest.raises(UserError, match="must be above 0 and below 1, found 1"):
        guided_fractions(list(LAYERS.values()), weights(), model, PATTERNS, fraction=1.0)


def test_patterns_are_learned_from_3x3_layers_alone():
    rng = np.random.default_rng(0)
    space = conv_space()
    params = {
        layer.name: {"weight": rng.normal(size=shape).astype(np.float32)}
        for layer, shape in (
            (layer, (layer.kernel, layer.kernel, layer.c_in, layer.c_out))
            if layer.op in ("conv", "conv_hwc")
            else (layer, (layer.c_in, layer.c_out))
            for layer in space.layers(())
            if layer.weight_shape is not None
        )
    }
    held = trained_weights(space, params)
    for layer in space.layers(()):
        if layer.weight_shape is not None:
            assert held[layer.name].shape == layer.weight_shape
    assert len(learned_patterns(space, held, count=4).patterns) == 4
    with pytest.raises(UserError, match="Expected 3x3 kernels to learn patterns from"):
        learned_patterns(SPACE, weights(), count=4)
