import collections

import numpy as np
import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency.design import quick
from sparsenas.latency.layer_text import bare, check_layer
from sparsenas.space import OPS, SPARSE_PATTERNS

SPACES = [find_space("tiny")]


@pytest.fixture(scope="module")
def design():
    return quick(SPACES, seed=3)


def test_design_is_the_same_for_the_same_seed_only(design):
    assert quick(SPACES, seed=3) == design
    assert quick(SPACES, seed=3).fingerprint() == design.fingerprint()
    assert quick(SPACES, seed=4).fingerprint() != design.fingerprint()
    assert quick(SPACES, seed=3, threads=(1, 2)).fingerprint() != design.fingerprint()


def test_every_operator_and_pattern_is_learnt_from(design):
    assert {layer.op for layer in design.layers} == set(OPS)
    patterns = collections.defaultdict(set)
    for layer in design.layers:
        patterns[layer.op].add(layer.pattern.name)
    for op, names in SPARSE_PATTERNS.items():
        assert patterns[op] == {"dense", *names}


def test_every_layer_is_one_that_a_network_can_have(design):
    for layer in (*design.layers, *design.held_out_layers):
        check_layer(layer)
        assert layer == bare(layer)


def test_nothing_is_measured_twice_or_learnt_from_and_tested_with(design):
    assert len(set(design.layers)) == len(design.layers)
    assert not set(design.layers) & set(design.held_out_layers)
    fit = {tuple(map(bare, network.layers)) for network in design.networks}
    assert not fit & {tuple(map(bare, network.layers)) for network in design.held_out_networks}


def test_networks_to_learn_from_reach_as_far_as_those_to_test_with(design):
    def sizes(networks):
        return np.array(
            [(sum(x.macs for x in n.layers), sum(x.nonzeros for x in n.layers)) for n in networks]
        )

    learnt, tested = sizes(design.networks), sizes(design.held_out_networks)
    assert (learnt.min(0) <= tested.min(0) * 1.5).all()
    assert (learnt.max(0) * 1.5 >= tested.max(0)).all()


def test_fifty_networks_of_many_families_are_held_out(design):
    families = collections.Counter(network.name.split()[0] for network in design.held_out_networks)
    assert sum(families.values()) == 50
    assert len(families) >= 3
    assert families["tiny"] == max(families.values())


def test_zeros_are_dense_where_they_pay(design):
    fractions = {layer.sparsity for layer in design.layers if layer.pattern.name == "unstructured"}
    for low in (0.5, 0.6, 0.7, 0.8, 0.9):
        assert sum(low <= fraction < low + 0.1 for fraction in fractions) >= 3


@pytest.mark.parametrize("threads", [(), (0,), (1, 1)])
def test_threads_that_mean_nothing_are_refused(threads):
    with pytest.raises(UserError, match="`threads` must be different numbers from 1 up"):
        quick(SPACES, seed=0, threads=threads)
