"""The spaces that come with the package hold the networks that they are named after, and these run."""

from dataclasses import replace

import numpy as np
import pytest

from sparsenas import native, survey
from sparsenas.blocks import EIGHTFOLD
from sparsenas.cli.lookup import find_space, known_spaces
from sparsenas.export.network import normalized, random_network, reference
from sparsenas.export.snas import to_bytes
from sparsenas.networks.alexnet import PUBLISHED_MEAN
from sparsenas.networks.catalog import REFERENCES

# Space and reference; network, and what else makes it.
SAME = {
    ("mobilenet_v1", "1.0"): ("mobilenet_v1", {}),
    ("mobilenet_v1", "0.75"): ("mobilenet_v1", {"width": 0.75}),
    ("mobilenet_v1", "0.5"): ("mobilenet_v1", {"width": 0.5}),
    ("mobilenet_v1", "0.25"): ("mobilenet_v1", {"width": 0.25}),
    ("mobilenet_v1", "1.0-published-0.8"): ("mobilenet_v1", {"published": 0.8}),
    ("mobilenet_v1", "1.0-published-0.9"): ("mobilenet_v1", {"published": 0.9}),
    ("mobilenet_v2", "1.4"): ("mobilenet_v2", {"width": 1.4}),
    ("mobilenet_v2", "1.0"): ("mobilenet_v2", {}),
    ("mobilenet_v2", "0.75"): ("mobilenet_v2", {"width": 0.75}),
    ("mobilenet_v2", "0.5"): ("mobilenet_v2", {"width": 0.5}),
    ("mobilenet_v2", "0.35"): ("mobilenet_v2", {"width": 0.35}),
    ("mobilenet_v2", "1.0-published-0.8"): ("mobilenet_v2", {"published": 0.8}),
    ("mobilenet_v2", "1.0-published-0.9"): ("mobilenet_v2", {"published": 0.9}),
    ("efficientnet", "efficientnet_b0"): ("efficientnet_b0", {}),
    ("efficientnet", "efficientnet_b1"): ("efficientnet_b1", {}),
    ("efficientnet_lite", "efficientnet_lite0"): ("efficientnet_lite0", {}),
    ("resnet", "resnet18"): ("resnet18", {}),
    ("resnet", "resnet18-pattern"): ("resnet18", {"pattern": EIGHTFOLD}),
    ("resnet_bottleneck", "resnet50"): ("resnet50", {}),
    ("resnet_bottleneck", "resnet50-pattern"): ("resnet50", {"pattern": EIGHTFOLD}),
    ("vgg", "vgg16"): ("vgg16", {}),
    ("vgg", "vgg16-pattern"): ("vgg16", {"pattern": EIGHTFOLD}),
    ("alexnet", "alexnet"): ("alexnet", {}),
    ("alexnet", "alexnet-published"): ("alexnet", {"published": PUBLISHED_MEAN}),
    ("alexnet", "alexnet-pattern"): ("alexnet", {"pattern": EIGHTFOLD}),
}
# Multiply-accumulates and parameters as published, the latter with two numbers a channel for batch
# normalisation where a folded network has one bias, and the side of the image.
PUBLISHED = {
    ("mobilenet_v1", "1.0"): (569e6, 4.2e6, 224),
    ("mobilenet_v2", "1.0"): (300e6, 3.5e6, 224),
    ("efficientnet", "efficientnet_b0"): (390e6, 5.3e6, 224),
    ("efficientnet", "efficientnet_b1"): (700e6, 7.8e6, 240),
    ("resnet", "resnet18"): (1.8e9, 11.7e6, 224),
    ("resnet", "resnet34"): (3.6e9, 21.8e6, 224),
    ("resnet_bottleneck", "resnet50"): (4.1e9, 25.6e6, 224),
    ("vgg", "vgg11"): (7.6e9, 133e6, 224),
    ("vgg", "vgg13"): (11.3e9, 133e6, 224),
    ("vgg", "vgg16"): (15.5e9, 138e6, 224),
    ("vgg", "vgg19"): (19.6e9, 144e6, 224),
    ("alexnet", "alexnet"): (714e6, 61.1e6, 224),
}


@pytest.mark.parametrize(("space", "name"), SAME)
def test_reference_has_exactly_the_layers_of_the_network(space, name):
    network, settings = SAME[space, name]
    made = REFERENCES[network]
    expected = made.layers(side=224, **{k: v for k, v in settings.items() if k == "width"})
    for preset in settings.keys() & made.presets.keys():
        expected = made.layers(side=224, rule=made.presets[preset].rule(settings[preset]))
    chosen = find_space(space)
    found = chosen.layers(chosen.references[name])
    assert [replace(layer, name="") for layer in found] == [replace(layer, name="") for layer in expected]


@pytest.mark.parametrize(("space", "name"), PUBLISHED)
def test_reference_has_the_published_size(space, name):
    macs, parameters, side = PUBLISHED[space, name]
    chosen = find_space(space, side)
    found = survey.totals(chosen.layers(chosen.references[name]))
    assert found == (pytest.approx(macs, rel=0.03), pytest.approx(parameters, rel=0.03))


def test_every_reference_is_compared_with_something():
    references = {(name, found) for name in known_spaces() for found in find_space(name).references}
    assert references == SAME.keys() | PUBLISHED.keys()


@pytest.mark.parametrize("name", known_spaces())
def test_usual_side_is_what_the_space_has_itself(name):
    space = find_space(name)
    assert space.name == name
    assert find_space(name, space.image[0]).fingerprint() == space.fingerprint()


@pytest.mark.parametrize("name", known_spaces())
def test_architectures_mean_the_same_at_every_side(name):
    small, large = (find_space(name, side) for side in (32, 224))
    assert small.choices == large.choices
    assert small.references == large.references


# Pixels a side before the mean over all, or before the first fully connected layer.
@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("mobilenet_v1", {224: 7, 96: 6, 64: 4, 32: 4, 28: 7, 8: 4}),
        ("mobilenet_v2", {224: 7, 96: 6, 64: 4, 32: 4, 28: 7, 8: 4}),
        ("efficientnet", {240: 8, 224: 7, 64: 4, 32: 4}),
        ("efficientnet_lite", {224: 7, 64: 4, 32: 4}),
        ("resnet", {224: 7, 64: 4, 32: 4, 16: 4}),
        ("resnet_bottleneck", {224: 7, 64: 4, 32: 4, 16: 4}),
        ("vgg", {224: 7, 64: 2, 32: 1, 16: 1}),
        ("alexnet", {224: 6, 63: 1, 62: 6, 32: 3, 15: 1}),
        ("tiny", {32: 8}),
    ],
)
def test_strides_leave_pixels_behind(name, left):
    for side, pixels in left.items():
        space = find_space(name, side)
        layers = space.layers(space.smallest)
        body = [layer for layer in layers if layer.op not in ("fully_connected", "global_average_pool")]
        assert body[-1].out_height == body[-1].out_width == pixels


@pytest.mark.parametrize("name", known_spaces())
def test_the_runtime_computes_small_networks(name):
    space = find_space(name, 32).with_classes(7)
    rng = np.random.default_rng(0)
    images = rng.random((2, 32, 32, 3), np.float32)
    for _ in range(2):
        # Narrow and shallow, with any kernels and zeros.
        arch = space.canonical(
            tuple(
                int(rng.integers(len(choice.options)))
                if choice.name.endswith((".sparsity", ".kernel"))
                else option
                for choice, option in zip(space.choices, space.smallest, strict=True)
            )
        )
        network = normalized(random_network(space.layers(arch), seed=1), images)
        expected = reference(network, images)
        # Rounding grows by a little from layer to layer: 60 of them, with 1e-7 each.
        close = 5e-5 * np.abs(expected).max()
        found = native.Model.from_bytes(to_bytes(network)).run(images)
        np.testing.assert_allclose(found, expected, atol=close)
