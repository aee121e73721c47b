"""The picture of a space holds every choice and layer, and marks an architecture."""

import xml.etree.ElementTree as ET

import pytest

from sparsenas.builder import Builder
from sparsenas.cli.lookup import find_space, known_spaces
from sparsenas.report.space import space_svg
from sparsenas.sparsity.patterns import DENSE, Sparse

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", known_spaces())
def test_the_picture_holds_every_choice_and_layer(name):
    space = find_space(name, 32)
    root = ET.fromstring(space_svg(space))
    cards = [card for card in root.iter(f"{SVG}rect") if "card" in card.get("class", "").split()]
    assert cards
    texts = {text.text for text in root.iter(f"{SVG}text")}
    for choice in space.choices:
        for option in choice.options:
            shown = f"{option.fraction * 100:.0f}" if hasattr(option, "fraction") else str(option)
            assert shown in texts
    for template in space.templates:
        assert any(template.name.split(".")[0] in text for text in texts)
    width, height = (float(root.get(what)) for what in ("width", "height"))
    for rect in root.iter(f"{SVG}rect"):
        right = float(rect.get("x", 0)) + float(rect.get("width"))
        assert right <= width
        assert float(rect.get("y", 0)) + float(rect.get("height")) <= height


def test_an_architecture_is_marked_in_the_picture():
    space = find_space("mobilenet_v2", 32)
    for arch in (space.smallest, space.references["1.0"]):
        root = ET.fromstring(space_svg(space, arch))
        chosen = [g for g in root.iter(f"{SVG}g") if "chosen" in g.get("class", "").split()]
        pale = [g for g in root.iter(f"{SVG}g") if g.get("class") == "absent"]
        assert chosen
        assert bool(pale) == (arch == space.smallest)
    plain = ET.fromstring(space_svg(space))
    assert not [g for g in plain.iter(f"{SVG}g") if "chosen" in g.get("class", "").split()]


def cards(svg):
    """Returns the texts of each card, its name first."""
    groups = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("class") in ("present", "absent")]
    return [[text.text for text in group.iter(f"{SVG}text")] for group in groups]


def test_choices_are_where_their_names_say():
    net = Builder("named", image=(8, 8, 3), classes=3)
    width = net.choice("stage.width", (8, 16))
    x = net.conv_hwc("stem", net.image, 4, kernel=3, stride=2)
    for i in (1, 2):
        kernel = net.choice(f"stage.block{i}.kernel", (1, 3))
        zeros = net.choice(f"stage.block{i}.mix.sparsity", (DENSE, Sparse(0.5)))
        x = net.depthwise(f"stage.block{i}.filter", x, kernel=kernel)
        x = net.conv1x1(f"stage.block{i}.mix", x, width, sparsity=zeros)
    space = net.classify(net.conv1x1("head", x, net.choice("anything", (24, 32))))
    assert cards(space_svg(space)) == [
        ["stem", "3\N{MULTIPLICATION SIGN}3 to 4 /2"],
        ["block1 to block2, each", "kernel", "1", "3", "filter", "mix 1\N{MULTIPLICATION SIGN}1", "0", "50"],
        ["head", "1\N{MULTIPLICATION SIGN}1", "anything", "24", "32"],
        ["pool"],
        ["classifier", "to 3"],
    ]
    # What differs is drawn apart.
    assert len(cards(space_svg(space, (0, 0, 1, 1, 0, 1)))) == 6
    texts = [text.text for text in ET.fromstring(space_svg(space)).iter(f"{SVG}text")]
    start = texts.index("stage")
    assert texts[start : start + 4] == ["stage", "width", "8", "16"]
