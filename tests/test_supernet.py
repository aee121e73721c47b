"""The supernet against the networks it stands for."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.blocks import inverted_residual
from sparsenas.builder import Builder
from sparsenas.errors import UserError
from sparsenas.export.fold import fold
from sparsenas.export.network import reference
from sparsenas.sparsity.patterns import DENSE, Block, Sparse
from sparsenas.supernet import batch_one_hot, one_hot, refresh_ranks, supernet

LEVELS = (DENSE, Sparse(0.5), Sparse(0.75))


def small_space():
    """Searched widths, depth, sparsity; strides, an add and an optional block."""
    net = Builder("small", image=(9, 8, 3), classes=4)
    width = net.choice("width", (4, 6, 8))

    def block(name, x, c_out, stride=1):
        return inverted_residual(
            net,
            name,
            x,
            c_out,
            expansion=2,
            stride=stride,
            expand_sparsity=net.choice(f"{name}.expand", LEVELS),
            project_sparsity=net.choice(f"{name}.project", LEVELS),
        )

    x = net.conv_hwc("stem", net.image, net.choice("stem", (2, 4)), stride=2, activation="relu")
    x = block("a", x, width, 2)
    depth = net.choice("depth", (1, 2))
    x = net.optional(depth >= 2, x, lambda x: block("b", x, width))
    return net.classify(x)


SPACE = small_space()
NET = supernet(SPACE)
ARCHS = [SPACE.largest, SPACE.smallest, *(SPACE.sample(np.random.default_rng(seed)) for seed in range(4))]


@pytest.fixture(scope="module")
def variables():
    """Weights, and statistics and normalisation away from their initial values."""
    variables = NET.init(np.random.default_rng(0))
    rng = np.random.default_rng(1)

    def moved(tree):
        return jax.tree.map(lambda a: (a + rng.uniform(0.1, 0.5, a.shape)).astype(np.float32), tree)

    params = {
        name: {"weight": layer["weight"]} | moved({k: v for k, v in layer.items() if k != "weight"})
        for name, layer in variables.params.items()
    }
    return variables._replace(params=params, stats=moved(variables.stats))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(2).random((5, *SPACE.image), np.float32)


def cut_out(variables, arch):
    """Returns the variables of the stand-alone network that an architecture means."""
    params, stats = {}, {}
    for layer in SPACE.layers(arch):
        if layer.weight_shape is None:
            continue
        c, d = slice(layer.c_in), slice(layer.c_out)
        part = (..., d) if layer.op == "depthwise" else (..., c, d)
        found = variables.params[layer.name]
        weight = found["weight"][part]
        if layer.name in variables.ranks:
            weight = weight * (variables.ranks[layer.name]["rank"][part] >= layer.sparsity)
        params[layer.name] = {"weight": weight} | {k: v[d] for k, v in found.items() if k != "weight"}
        if layer.name in variables.stats:
            stats[layer.name] = {k: v[d] for k, v in variables.stats[layer.name].items()}
    return variables._replace(params=params, stats=stats, ranks={})


@pytest.mark.parametrize("arch", ARCHS, ids=SPACE.text)
def test_one_hot_choices_give_the_stand_alone_network(arch, variables, images):
    found, _ = jax.jit(lambda x, choices: NET.apply(variables, x, choices, train=False))(
        images, one_hot(SPACE, arch)
    )
    alone = cut_out(variables, arch)
    # Rounding per block of the weights may leave a zero more or less than promised.
    layers = [dataclasses.replace(t, sparsity=t.sparsity.map(lambda _: DENSE)) for t in SPACE.templates]
    loose = dataclasses.replace(SPACE, templates=tuple(layers))
    network = fold(loose.fixed(arch), alone, classes="abcd")
    np.testing.assert_allclose(found, reference(network, images), atol=1e-4)


@pytest.mark.parametrize("arch", ARCHS[:3], ids=SPACE.text)
def test_training_pass_gives_the_stand_alone_networks_statistics(arch, variables, images):
    def run(net, variables, choices):
        return jax.jit(lambda: net.apply(variables, images, choices, train=True))()

    found, stats = run(NET, variables, one_hot(SPACE, arch))
    expected, expected_stats = run(supernet(SPACE.fixed(arch)), cut_out(variables, arch), ())
    np.testing.assert_allclose(found, expected, atol=1e-4)
    for name, layer in expected_stats.items():
        for key, array in layer.items():
            np.testing.assert_allclose(stats[name][key][: len(array)], array, atol=1e-4)


def test_every_architecture_has_its_sparsity_in_every_layer(variables):
    for arch in SPACE.joint_options(range(len(SPACE.choices))):
        for layer in SPACE.layers(arch):
            if layer.sparsity:
                rank = variables.ranks[layer.name]["rank"][: layer.c_in, : layer.c_out]
                # Each of up to 2 x 3 blocks of widths is rounded by itself.
                assert abs((rank >= layer.sparsity).sum() - layer.nonzeros) <= 6


def test_ranks_order_the_weights_of_each_block_of_widths(variables):
    weight = np.abs(variables.params["a.project"]["weight"])
    rank = variables.ranks["a.project"]["rank"]
    assert weight.shape == (8, 8)
    for c in (slice(0, 4), slice(4, 8)):
        for d in (slice(0, 4), slice(4, 6), slice(6, 8)):
            np.testing.assert_array_equal(np.argsort(weight[c, d], None), np.argsort(rank[c, d], None))


def test_refresh_ranks_follows_the_weights_and_leaves_its_argument_alone(variables):
    before = variables.ranks["a.project"]["rank"].copy()
    params = variables.params | {"a.project": {"weight": 1 / variables.params["a.project"]["weight"]}}
    after = refresh_ranks(SPACE, variables._replace(params=params)).ranks["a.project"]["rank"]
    np.testing.assert_array_equal(variables.ranks["a.project"]["rank"], before)
    np.testing.assert_allclose(after, 1 - before, atol=1e-6)


def test_one_compilation_serves_every_architecture(variables, images):
    run = jax.jit(lambda choices: NET.apply(variables, images, choices, train=False)[0])
    for arch in ARCHS:
        run(one_hot(SPACE, arch))
    assert run._cache_size() == 1


def test_vmap_over_architectures_is_one_after_the_other(variables, images):
    def run(choices):
        return NET.apply(variables, images, choices, train=True)[0]

    together = jax.jit(jax.vmap(run))(batch_one_hot(SPACE, ARCHS))
    alone = [jax.jit(run)(one_hot(SPACE, arch)) for arch in ARCHS]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-4)


def test_output_is_differentiable_in_the_choices(variables, images):
    choices = tuple(np.full(len(c.options), 1 / len(c.options), np.float32) for c in SPACE.choices)

    @jax.jit
    def loss(choices):
        return jnp.square(NET.apply(variables, images, choices, train=True)[0]).mean()

    gradients = jax.jit(jax.grad(loss))(choices)
    assert all(np.abs(g).max() > 0 for g in gradients)
    # Along one direction, against a difference quotient.
    rng = np.random.default_rng(0)
    direction = [rng.normal(size=c.shape).astype(np.float32) for c in choices]
    step = np.float32(1e-2)
    ahead, behind = (
        loss(tuple(c + sign * step * d for c, d in zip(choices, direction, strict=True))) for sign in (1, -1)
    )
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=0.05, atol=1e-3)


def test_a_network_alone_is_not_masked_by_rank():
    assert supernet(SPACE.fixed(SPACE.smallest)).init(np.random.default_rng(0)).ranks == {}


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda net, x: net.conv("more", x, 8), r"operators .* found conv\."),
        (lambda net, x: net.depthwise("more", x, activation="swish"), r"activations .* found swish\."),
        (
            lambda net, x: net.conv1x1("more", x, 8, sparsity=Sparse(0.9, Block(4))),
            r"patterns .* found block4\.",
        ),
    ],
)
def test_what_cannot_be_trained_yet_is_named(add, message):
    net = Builder("one", image=(8, 8, 3), classes=10)
    space = net.classify(add(net, net.conv_hwc("stem", net.image, 8)))
    with pytest.raises(UserError, match=f"'more' of space 'one' cannot be trained: {message}"):
        supernet(space)
