"""The supernet against the networks it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sparsenas.blocks import inverted_residual
from sparsenas.builder import Builder
from sparsenas.export.fold import fold
from sparsenas.export.network import reference
from sparsenas.sparsity.patterns import DENSE, Block, KernelPattern, NByM, Sparse
from sparsenas.supernet import batch_one_hot, one_hot, refresh_ranks, supernet
from tests import every_space

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
    return every_space.moved(NET.init(np.random.default_rng(0)))


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
            weight = weight * (variables.ranks[layer.name]["rank"][0][part] >= layer.sparsity)
        params[layer.name] = {"weight": weight} | {k: v[d] for k, v in found.items() if k != "weight"}
        if layer.name in variables.stats:
            stats[layer.name] = {k: v[d] for k, v in variables.stats[layer.name].items()}
    return variables._replace(params=params, stats=stats, ranks={})


@pytest.mark.parametrize("arch", ARCHS, ids=SPACE.text)
def test_one_hot_choices_give_the_stand_alone_network(arch, variables, images):
    found, _ = jax.jit(lambda x, choices: NET.apply(variables, x, choices, train=False))(
        images, one_hot(SPACE, arch)
    )
    # Rounding per block of the weights may leave a zero more or less than promised.
    network = fold(SPACE.fixed(arch, dense=True), cut_out(variables, arch), classes="abcd")
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
                rank = variables.ranks[layer.name]["rank"][0, : layer.c_in, : layer.c_out]
                # Each of up to 2 x 3 blocks of widths is rounded by itself.
                assert abs((rank >= layer.sparsity).sum() - layer.nonzeros) <= 6


def test_ranks_order_the_weights_of_each_block_of_widths(variables):
    weight = np.abs(variables.params["a.project"]["weight"])
    rank = variables.ranks["a.project"]["rank"][0]
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


@pytest.mark.parametrize("part", [0.0, 0.4, 1.0])
def test_ranks_of_a_part_of_the_zeros_keep_what_lower_fractions_keep(variables, part):
    ranks = refresh_ranks(SPACE, variables, part=part).ranks["a.project"]["rank"]
    full = refresh_ranks(SPACE, variables).ranks["a.project"]["rank"]
    assert ranks.dtype == np.float32
    for fraction in (0.3, 0.7, 0.95):
        # No rank is that near to a bound but at its own fraction.
        np.testing.assert_array_equal(ranks >= np.float32(fraction), full >= np.float32(part * fraction))


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


EVERY = every_space.SPACE
EVERY_NET = supernet(EVERY)
EVERY_ARCHS = [
    EVERY.largest,
    EVERY.smallest,
    *(EVERY.sample(np.random.default_rng(seed)) for seed in range(12)),
]


@pytest.fixture(scope="module")
def every_variables():
    return every_space.moved(EVERY_NET.init(np.random.default_rng(0)))


@pytest.fixture(scope="module")
def every_images():
    return np.random.default_rng(2).random((5, *EVERY.image), np.float32)


@pytest.fixture(scope="module")
def every_run(every_variables, every_images):
    def run(choices, hard):
        return EVERY_NET.apply(every_variables, every_images, choices, train=False, hard=hard)[0]

    return jax.jit(run, static_argnums=1)


def test_every_operator_pattern_and_kernel_gives_the_network_that_is_cut_out(
    every_run, every_variables, every_images
):
    for arch in EVERY_ARCHS:
        found = every_run(one_hot(EVERY, arch), False)
        network = fold(EVERY, every_variables, arch=arch, classes="abcd")
        assert network.layers == EVERY.layers(arch)
        np.testing.assert_allclose(
            found, reference(network, every_images), atol=1e-4, err_msg=EVERY.text(arch)
        )


def test_absent_blocks_need_not_be_computed(every_run):
    for arch in EVERY_ARCHS:
        choices = one_hot(EVERY, arch)
        np.testing.assert_allclose(every_run(choices, True), every_run(choices, False), atol=1e-5)


def test_one_compilation_serves_a_hundred_architectures(every_run):
    rng = np.random.default_rng(5)
    for _ in range(100):
        every_run(one_hot(EVERY, EVERY.sample(rng)), False)
    assert every_run._cache_size() <= 2  # One with `hard`, one without.


def test_absent_blocks_keep_their_statistics(every_variables, every_images):
    arch = EVERY.pick({"depth": 0})
    run = jax.jit(
        lambda choices: EVERY_NET.apply(every_variables, every_images, choices, train=True, hard=True)[1]
    )
    for found, absent in ((run(one_hot(EVERY, arch)), True), (run(one_hot(EVERY, EVERY.largest)), False)):
        old = every_variables.stats["more.mix"]["mean"]
        assert np.array_equal(found["more.mix"]["mean"], old) == absent
        assert not np.array_equal(found["mix"]["mean"], every_variables.stats["mix"]["mean"])


def linear(add):
    """A network that is linear in the weights of its one layer with choices."""
    net = Builder("linear", image=(8, 8, 3), classes=4)
    x = net.conv_hwc("stem", net.image, 8)
    return net.classify(add(net, x))


@pytest.mark.parametrize(
    "space",
    [
        linear(lambda net, x: net.conv1x1("more", x, 8, sparsity=net.choice("zeros", every_space.MIXED))),
        linear(lambda net, x: net.conv("more", x, 8, kernel=net.choice("kernel", (1, 3, 5)))),
        linear(lambda net, x: net.depthwise("more", x, kernel=net.choice("kernel", (3, 5, 7)))),
        linear(
            lambda net, x: net.conv(
                "more",
                x,
                8,
                sparsity=net.choice("zeros", (DENSE, Sparse(0.7, KernelPattern()), Sparse(0.9))),
            )
        ),
        linear(
            lambda net, x: net.fully_connected(
                "more", x, 8, sparsity=net.choice("zeros", (Sparse(0.5, NByM()), Sparse(0.8, Block(4))))
            )
        ),
        linear(lambda net, x: net.conv1x1("more", x, net.choice("width", (2, 5, 8)))),
        linear(
            lambda net, x: net.optional(
                net.choice("there", (False, True)), x, lambda x: net.conv1x1("more", x, 8)
            )
        ),
    ],
    ids=["patterns", "kernel", "depthwise kernel", "kernel patterns", "fully connected", "width", "depth"],
)
def test_a_mixture_is_the_average_of_its_networks(space):
    net = supernet(space)
    variables = every_space.moved(net.init(np.random.default_rng(0)))
    images = np.random.default_rng(2).random((3, *space.image), np.float32)
    run = jax.jit(lambda choices: net.apply(variables, images, choices, train=False)[0])
    options = len(space.choices[0].options)
    shares = np.random.default_rng(3).dirichlet(np.ones(options)).astype(np.float32)
    alone = [run(one_hot(space, (option,))) for option in range(options)]
    assert not np.allclose(alone[0], alone[-1], atol=1e-2)
    np.testing.assert_allclose(run((shares,)), np.tensordot(shares, alone, 1), atol=1e-4)


def test_one_choice_may_decide_kernel_and_zeros():
    kind = {"kernel": (1, 5, 3), "zeros": (0, 0.8, 0.5)}
    position = [choice.name for choice in EVERY.choices].index("kind")
    for option in range(3):
        arch = tuple(option if i == position else one for i, one in enumerate(EVERY.largest))
        (layer,) = (layer for layer in EVERY.layers(arch) if layer.name == "conv")
        assert (layer.kernel, layer.sparsity) == (kind["kernel"][option], kind["zeros"][option])
    # Half of one kind and half of another is not a quarter of each pairing.
    net = supernet(EVERY)
    variables = net.init(np.random.default_rng(0))
    x = np.random.default_rng(1).random((2, *EVERY.image), np.float32)
    shares = list(one_hot(EVERY, EVERY.largest))
    shares[position] = np.float32([0.5, 0.5, 0])
    weight = np.array(variables.params["conv"]["weight"])
    rank = variables.ranks["conv"]["rank"][0]
    centre = np.zeros((5, 5, 1, 1), np.float32)
    centre[2, 2] = 1
    by_hand = weight * (0.5 * centre + 0.5 * (rank >= np.float32(0.8)))
    blended = variables._replace(
        params=variables.params | {"conv": variables.params["conv"] | {"weight": by_hand}},
        ranks=variables.ranks | {"conv": {"rank": np.ones_like(variables.ranks["conv"]["rank"])}},
    )
    whole = list(shares)
    whole[position] = np.float32([0, 1, 0])  # All taps and, as all ranks are 1, all weights.
    run = jax.jit(lambda variables, choices: net.apply(variables, x, choices, train=False)[0])
    np.testing.assert_allclose(run(variables, tuple(shares)), run(blended, tuple(whole)), atol=1e-5)


def test_gradients_of_every_choice_are_slopes(every_variables, every_images):
    rng = np.random.default_rng(0)
    choices = tuple(rng.dirichlet(np.ones(len(c.options))).astype(np.float32) for c in EVERY.choices)

    @jax.jit
    def loss(choices):
        return jnp.square(EVERY_NET.apply(every_variables, every_images, choices, train=True)[0]).mean()

    gradients = jax.jit(jax.grad(loss))(choices)
    for choice, gradient in zip(EVERY.choices, gradients, strict=True):
        assert np.isfinite(gradient).all(), choice.name
        assert np.abs(gradient).max() > 0, choice.name
    step = np.float32(3e-3)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        direction = [rng.normal(size=c.shape).astype(np.float32) for c in choices]
        ahead, behind = (
            loss(tuple(c + sign * step * d for c, d in zip(choices, direction, strict=True)))
            for sign in (1, -1)
        )
        slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
        # Float32 differences, across the kinks of rectifiers and maxima.
        np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=0.05, atol=0.02)


def test_bfloat16_computes_nearly_the_same_and_keeps_float32(every_variables, every_images):
    run = jax.jit(
        lambda dtype: EVERY_NET.apply(
            every_variables, every_images, one_hot(EVERY, EVERY.largest), train=True, dtype=dtype
        ),
        static_argnums=0,
    )
    (exact, _), (found, stats) = run(jnp.float32), run(jnp.bfloat16)
    assert found.dtype == jnp.float32
    assert {a.dtype for a in jax.tree.leaves(stats)} == {jnp.dtype(jnp.float32)}
    # Eight bits of each number, through ten layers.
    np.testing.assert_allclose(found, exact, atol=0.1 * np.abs(exact).max())


def test_choices_of_another_space_are_an_error(every_variables, every_images):
    with pytest.raises(ValueError, match="`choices` of space 'every' must have shapes"):
        EVERY_NET.apply(every_variables, every_images, one_hot(SPACE, SPACE.largest), train=False)
