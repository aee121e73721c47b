"""Which networks steps train."""

import numpy as np

from sparsenas.builder import Builder
from sparsenas.sparsity.patterns import DENSE, Sparse
from sparsenas.train.sampling import KINDS, kinds, sampler

OPEN = dict.fromkeys(KINDS, 0)


def small_space():
    net = Builder("small", image=(8, 8, 3), classes=3)
    width = net.choice("width", (4, 8))
    x = net.conv_hwc("stem", net.image, width, kernel=net.choice("kernel", (3, 5)))
    zeros = net.choice("zeros", (DENSE, Sparse(0.5), Sparse(0.9)))
    x = net.optional(
        net.choice("depth", (0, 1)) >= 1, x, lambda x: net.conv1x1("mix", x, width, sparsity=zeros)
    )
    return net.classify(x)


SPACE = small_space()


def archs(choices):
    """Returns the options that one-hot choices mean, [..., choices]."""
    assert all((options.sum(-1) == 1).all() for options in choices)
    return np.stack([options.argmax(-1) for options in choices], -1)


def drawn(steps, *, largest=0.0, between=None, opens=OPEN, seed=0):
    draw = sampler(SPACE, largest=largest, between=between, opens=opens, rng=np.random.default_rng(seed))
    return archs(draw(steps))


def test_choices_are_known_by_what_they_decide():
    named = {c.name: kind for c, kind in zip(SPACE.choices, kinds(SPACE), strict=True)}
    assert named == {"width": {"widths"}, "kernel": {"kernels"}, "depth": {"depths"}, "zeros": {"sparsities"}}


def test_all_networks_come_alike_where_all_choices_are_open():
    found = drawn(600)
    assert found.shape == (600, 4)
    for i, choice in enumerate(SPACE.choices):
        if choice.name != "zeros":  # Is the first one where the layer is absent.
            counts = np.bincount(found[:, i])
            # Four standard deviations of a fair coin.
            assert abs(counts[0] - 300) < 4 * np.sqrt(150)
    assert all(SPACE.canonical(arch) == tuple(arch) for arch in found.tolist())


def test_a_part_of_the_steps_trains_the_largest_network():
    assert (drawn(50, largest=1.0) == SPACE.largest).all()
    share = (drawn(400, largest=0.5) == SPACE.largest).all(1).mean()
    assert 0.4 < share < 0.7


def test_choices_open_one_kind_after_the_other():
    opens = {"kernels": 10, "depths": 20, "widths": 30, "sparsities": 40}
    found = drawn(80, opens=opens)
    position = {choice.name: i for i, choice in enumerate(SPACE.choices)}
    for name, kind in (
        ("kernel", "kernels"),
        ("depth", "depths"),
        ("width", "widths"),
        ("zeros", "sparsities"),
    ):
        column, most = found[:, position[name]], SPACE.largest[position[name]]
        assert (column[: opens[kind]] == most).all()
        assert (column[opens[kind] :] != most).any()


def test_steps_go_on_where_the_last_draw_ended():
    opens = OPEN | {"widths": 30}
    draw = sampler(SPACE, largest=0, between=None, opens=opens, rng=np.random.default_rng(0))
    parts = np.concatenate([archs(draw(20)), archs(draw(20))])
    np.testing.assert_array_equal(parts, drawn(40, opens=opens))


def test_a_sandwich_is_the_largest_the_smallest_and_random_ones():
    found = drawn(30, between=2)
    assert found.shape == (30, 4, 4)
    assert (found[:, 0] == SPACE.largest).all()
    assert (found[:, 1] == SPACE.smallest).all()
    assert len(np.unique(found[:, 2:].reshape(-1, 4), axis=0)) > 4


def test_the_smallest_of_a_sandwich_keeps_to_open_choices():
    found = drawn(4, between=0, opens=OPEN | {"widths": 2})
    width = [choice.name for choice in SPACE.choices].index("width")
    assert found[:, 1, width].tolist() == [1, 1, 0, 0]
