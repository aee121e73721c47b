"""Folding against JAX's own output."""

import jax
import numpy as np
import pytest
from sparsenas.search_spaces.tiny import SPACE

from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.network import reference
from sparsenas.supernet import supernet

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


def test_a_space_with_choices_is_rejected():
    with pytest.raises(ValueError, match="must have no choices"):
        fold(SPACE, supernet(SPACE).init(np.random.default_rng(0)), classes=CLASSES)
