import numpy as np
import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.costs import COSTS, cost_of
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes


@pytest.mark.parametrize("name", ["tiny", "mobilenet_v1"])
def test_file_sizes_are_those_of_files(name):
    space = find_space(name, 32)
    rng = np.random.default_rng(0)
    archs = [space.smallest, *(space.sample(rng) for _ in range(3))]
    for arch, found in zip(archs, cost_of(space, "file_bytes")(archs), strict=True):
        size = len(to_bytes(random_network(space.layers(arch), seed=0)))
        # Names are left out, and steps are as many as zeros anywhere take.
        assert found == pytest.approx(size, rel=0.02)


def test_costs_add_up_over_layers():
    space = find_space("tiny")
    layers = space.layers(space.largest)
    assert cost_of(space, "macs")([space.largest])[0] == sum(layer.macs for layer in layers)
    assert cost_of(space, "parameters")([space.largest])[0] == sum(layer.parameters for layer in layers)
    assert set(COSTS) == {"macs", "parameters", "file_bytes"}
