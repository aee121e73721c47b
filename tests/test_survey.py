import itertools
from functools import partial

import pytest

from sparsenas import survey
from sparsenas.builder import Builder
from sparsenas.cli.lookup import find_space
from sparsenas.sparsity.patterns import DENSE, Sparse


def small():
    """Widths that two stages share, a block within which a choice counts, and one choice that never does."""
    net = Builder("small", image=(12, 12, 3), classes=5)
    width, depth = net.choice("width", (4, 8, 12)), net.choice("depth", (1, 2, 3))
    net.choice("idle", (1, 2))
    x = net.conv_hwc("stem", net.image, width, stride=2)
    for i in (2, 3):
        kernel = net.choice(f"kernel{i}", (1, 3))
        x = net.optional(depth >= i, x, partial(net.depthwise, f"filter{i}", kernel=kernel))
    x = net.conv1x1("mix", x, 16, sparsity=net.choice("zeros", (DENSE, Sparse(0.8))))
    return net.classify(x)


def test_everything_is_what_enumeration_finds():
    space = small()
    everything = list(itertools.product(*(range(len(choice.options)) for choice in space.choices)))
    networks = {space.layers(arch) for arch in everything}
    assert survey.architectures(space) == len(networks) == 3 * 2 * (1 + 2 + 4)
    for position, found in enumerate((survey.macs(space), survey.parameters(space))):
        sizes = [survey.totals(layers)[position] for layers in networks]
        assert (found.least, found.most) == (min(sizes), max(sizes))
        assert survey.totals(space.layers(found.least_arch))[position] == found.least
        assert survey.totals(space.layers(found.most_arch))[position] == found.most
        assert space.canonical(found.least_arch) == found.least_arch


def test_a_space_without_choices_is_one_network():
    fixed = find_space("tiny").fixed(find_space("tiny").largest)
    assert survey.architectures(fixed) == 1
    found = survey.macs(fixed)
    assert found.least == found.most == survey.totals(fixed.layers(()))[0]
    assert found.least_arch == ()


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet_bottleneck"])
def test_no_network_is_beyond_the_extremes_of_a_large_space(name):
    space = find_space(name, 32)
    found = survey.macs(space)
    for arch in (space.largest, space.smallest, *space.references.values()):
        assert found.least <= survey.totals(space.layers(arch))[0] <= found.most
    assert survey.totals(space.layers(found.most_arch))[0] == found.most
    assert survey.totals(space.layers(found.least_arch))[0] == found.least
    assert space.size > survey.architectures(space) > 10**9
