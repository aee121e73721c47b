import json
import math

import pytest

from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.latency.layer_text import bare, describe, parse_layer
from sparsenas.latency.table import load, save
from tests.latency.made_up import table_of_space

SPACE = find_space("tiny")


@pytest.fixture
def path(tmp_path):
    save(table_of_space(SPACE), tmp_path / "table.json")
    return tmp_path / "table.json"


def test_table_survives_the_disk(path):
    table = table_of_space(SPACE)
    found = load(path)
    assert (found.device, found.kind, found.machine, found.how) == (
        table.device, table.kind, table.machine, table.how,
    )  # fmt: skip
    assert [m.layer for m in found.layers] == [m.layer for m in table.layers]
    assert [m.us for m in found.layers] == pytest.approx([m.us for m in table.layers], rel=1e-5)
    assert [n.layers for n in found.networks] == [n.layers for n in table.networks]
    assert [p.name for p in path.parent.iterdir()] == ["table.json"]


def test_saving_what_was_loaded_changes_no_byte(path):
    again = path.with_name("again.json")
    save(load(path), again)
    assert again.read_bytes() == path.read_bytes()


def test_a_measurement_is_a_line(path):
    table = table_of_space(SPACE)
    lines = path.read_text().splitlines()
    assert sum('"kernel"' in line for line in lines) == len(table.layers)
    assert sum('"role"' in line for line in lines) == len(table.networks)


@pytest.mark.parametrize(
    "text",
    [
        "conv1x1 64x128@28x28 block4=0.9",
        "conv_hwc 3x16@33x31 kernel=3 stride=2 relu6",
        "conv 8x8@9x9 kernel=3 pad=0 unstructured=0.123456789",
        "conv 8x8@9x9 kernel=3 pattern=0.875",
        "fully_connected 16x10@1x1 2:4=0.5",
        "max_pool 8x8@9x9 kernel=2 stride=2",
        "multiply 8x8@9x9 sigmoid",
    ],
)
def test_layers_are_written_as_they_are_read(text):
    assert describe(parse_layer(text)) == text


def test_every_layer_of_a_space_can_be_written():
    for layer in SPACE.layer_variants():
        assert parse_layer(describe(layer)) == bare(layer)


def test_a_layer_can_be_written_in_other_ways():
    expected = parse_layer("conv1x1 64x128@28x28 block4=0.9")
    for text in (
        "conv1x1 64x128@28 sparsity=0.9 block=4",
        "conv1x1 64x128@28 block=4 sparsity=0.9",
        "conv1x1  64x128@28 sparsity=0.9 pattern=block4 none",
    ):
        assert parse_layer(text) == expected
    assert parse_layer("conv1x1 8x8@4 sparsity=0.5").pattern.name == "unstructured"
    assert parse_layer("conv1x1 8x8@4 sparsity=0").pattern.name == "dense"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is written like"),
        ("conv1x1", "is written like"),
        ("conv1x1 64@28", "is written like"),
        ("conv1x1 64x128@9999999999", "is written like"),
        ("conv7x7 64x128@28", "No operator named 'conv7x7'"),
        ("conv1x1 0x128@28", "channels of 1 to 65536, found 0x128"),
        ("conv1x1 64x128@9000", "pixels of 1 to 8192"),
        ("conv1x1 64x128@28 kernel=3", "a conv1x1 has kernel and stride 1"),
        ("conv 64x128@28 kernel=", "kernel is a whole number"),
        ("conv 64x128@28 kernel=99", "whole number up to 64"),
        ("conv 64x128@2 kernel=9 pad=0", "larger than the image"),
        ("conv 64x128@28 kernel=3 pad=3", "padding below the kernel"),
        ("depthwise 64x128@28 kernel=3", "depthwise keeps its channels"),
        ("depthwise 64x64@28 kernel=3 sparsity=0.5", "cannot be unstructured"),
        ("conv 8x8@28 kernel=5 pattern=0.9", "kernel patterns are for kernel 3"),
        ("conv1x1 8x8@28 sparsity=1", "zeros from 0 to below 1"),
        ("conv1x1 8x8@28 sparsity=nan", "fraction such as 0.9"),
        ("conv1x1 8x8@28 sparsity=-0.5", "zeros from 0 to below 1"),
        ("conv1x1 8x8@28 sparsity=0.5 block4=0.5", "given once"),
        ("conv1x1 8x8@28 sparsity=0.5 sparsity=0.6", "given once"),
        ("conv1x1 8x8@28 sparsity=0.5 block=3", "block=2 or block=4"),
        ("conv1x1 8x8@28 sparsity=0.5 pattern=plaid", "No pattern named 'plaid'"),
        ("fully_connected 8x8@1 2:4=0.6", "leaves a fraction of zeros of 0.5"),
        ("conv1x1 8x8@28 gelu", "found 'gelu'"),
    ],
)
def test_layers_that_are_none_are_refused(text, says):
    with pytest.raises(UserError, match=says) as error:
        parse_layer(text)
    assert "\n" not in str(error.value)


def edit(change):
    def damage(text):
        table = json.loads(text)
        change(table)
        return json.dumps(table)

    return damage


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda text: text[: len(text) // 2], "is not complete JSON"),
        (lambda text: "[" * 100_000, "is not complete JSON"),
        (lambda text: "[]", "Expected a latency table"),
        (edit(lambda t: t.update(format=9)), "has format 9, this version reads 2; use a newer sparsenas"),
        (edit(lambda t: t.update(format=1)), "has format 1, this version reads 2; measure it again"),
        (edit(lambda t: t.update(format=None)), "has format None"),
        (edit(lambda t: t.pop("machine")), "lacks machine"),
        (edit(lambda t: t.update(data_type="int8")), "is for data type 'int8'"),
        (edit(lambda t: t.update(kind="guessed")), "is of kind 'guessed'"),
        (edit(lambda t: t.update(layers={})), "has no list of layers"),
        (edit(lambda t: t.update(how=3)), "names and values under 'how'"),
        (edit(lambda t: t["layers"][2].update(us=-1)), "layer 3: expected us above 0, found -1"),
        (edit(lambda t: t["layers"][2].update(us=math.nan)), "layer 3: .* found nan"),
        (edit(lambda t: t["layers"][2].update(high_us=math.inf)), "layer 3: .* found inf"),
        (edit(lambda t: t["layers"][2].update(us=True)), "layer 3: .* found True"),
        (edit(lambda t: t["layers"][2].update(low_us=1e9)), "expected low_us <= us <= high_us"),
        (edit(lambda t: t["layers"][2].update(threads=0)), "layer 3: expected 1 thread or more"),
        (edit(lambda t: t["layers"][0].pop("kernel")), "layer 1 is not complete, it lacks kernel"),
        (edit(lambda t: t["layers"].insert(0, 7)), "layer 1 is not complete"),
        (edit(lambda t: t["layers"][1].update(layer="conv1x1 1@1")), "layer 2: A layer is written like"),
        (edit(lambda t: t["networks"][1].update(layers=[999])), "network 2: expected layers 0 to "),
        (edit(lambda t: t["networks"][1].update(layers=[])), "network 2: expected a list of layers"),
        (edit(lambda t: t["networks"][1].update(role="both")), "network 2: expected role fit or held_out"),
        (edit(lambda t: t["layers"][0].update(us=t["layers"][0]["us"] * 1.001)), "was edited"),
        (edit(lambda t: t.update(build="other")), "was edited"),
        (edit(lambda t: t["layers"].pop()), "was edited"),
    ],
)
def test_damaged_tables_are_refused(path, damage, says):
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match=says) as error:
        load(path)
    assert "\n" not in str(error.value)
    assert "table.json" in str(error.value)


def test_no_table_is_one_line(tmp_path):
    with pytest.raises(UserError, match="Cannot read the latency table .*none.json"):
        load(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\x00")
    with pytest.raises(UserError, match="is not complete JSON"):
        load(tmp_path / "bytes.json")
