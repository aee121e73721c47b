"""What the model file holds, read back byte by byte as docs/format.md says."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsenas.errors import UserError
from sparsenas.export.half import halved
from sparsenas.export.network import LayerWeights, Network, random_network
from sparsenas.export.read import from_bytes
from sparsenas.export.snas import column_steps, nibbles, to_bytes, write
from sparsenas.space import IMAGE, Layer
from sparsenas.sparsity.patterns import Block, KernelPattern, NByM, Unstructured


def conv1x1(**settings):
    return Layer(**{
        "name": "mix", "op": "conv1x1", "inputs": (IMAGE,), "c_in": 700, "c_out": 3, "height": 2,
        "width": 5, "pattern": Unstructured(), "sparsity": 0.99, **settings,
    })  # fmt: skip


def u32(data, offset):
    return struct.unpack_from("<I", data, offset)[0]


def u64(data, offset):
    return struct.unpack_from("<Q", data, offset)[0]


def read_columns(steps, counts, *, skip=255):
    """Decodes columns as plainly as the format says it."""
    steps, rows = iter(steps), []
    for count in counts:
        column, row = 0, []
        while len(row) < count:
            step = next(steps)
            column += step
            if step != skip:
                row.append(column)
        rows.append(row)
    assert next(steps, None) is None
    return rows


def test_file_is_laid_out_as_described():
    network = random_network([conv1x1()], seed=3)
    data = to_bytes(network)
    assert data[:4] == b"SNAS"
    assert u32(data, 4) == 1
    assert u64(data, 8) == len(data)
    assert u32(data, 16) == zlib.crc32(data[20:])
    assert [u32(data, i) for i in range(20, 48, 4)] == [1, 2, 5, 700, 1, 0, 0]
    assert data[u64(data, 48) : u64(data, 48) + u64(data, 56)] == b"\3\0\0\0mix"

    record = data[64:192]
    assert struct.unpack_from("<4I2i6I", record) == (1, 1, 0, 1, -1, -2, 700, 3, 2, 5, 1, 1)
    nonzeros = u64(record, 48)
    blobs = [data[u64(record, i) : u64(record, i) + u64(record, i + 8)] for i in (56, 72, 88, 104)]
    assert all(u64(record, i) % 64 == 0 for i in (56, 72, 88, 104))
    values, bias, counts = (np.frombuffer(b, t) for b, t in zip(blobs, ("f4", "f4", "u4"), strict=False))
    assert nonzeros == values.size == network.layers[0].nonzeros

    weight = np.zeros((3, 700), np.float32)
    for row, columns in enumerate(read_columns(blobs[3], counts)):
        weight[row, columns] = values[counts[:row].sum() :][: counts[row]]
    np.testing.assert_array_equal(weight, network.weights[0].weight)
    np.testing.assert_array_equal(bias, network.weights[0].bias)


@given(st.lists(st.sets(st.integers(0, 2000)), max_size=5))
def test_column_steps_can_be_read_back(rows):
    expected = [sorted(row) for row in rows]
    row_of = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    columns = np.array([c for row in expected for c in row], np.int64)
    steps = column_steps(row_of, columns)
    assert read_columns(steps.tolist(), [len(row) for row in rows]) == expected
    coded = nibbles(column_steps(row_of, columns, skip=15)).tolist()
    narrow = [half for byte in coded for half in (byte & 15, byte >> 4)]
    found = column_steps(row_of, columns, skip=15).size
    assert narrow[found:] in ([], [0])
    assert read_columns(narrow[:found], [len(row) for row in rows], skip=15) == expected


@pytest.mark.parametrize(("sparsity", "most"), [(0.5, 0.51), (0.9, 0.65), (0.97, 1.01)])
def test_an_index_costs_at_most_a_byte(sparsity, most):
    one = conv1x1(c_in=512, c_out=512, sparsity=sparsity)
    room = len(to_bytes(random_network([one], seed=0)))
    # Beside 4 bytes of value, 4 of bias and 2 of count for each row, and what every file has.
    assert (room - 4 * one.nonzeros - 6 * 512 - 500) / one.nonzeros < most


@pytest.mark.parametrize("pattern", [Unstructured(), Block(4)])
def test_steps_and_counts_are_packed_where_that_is_smaller(pattern):
    network = random_network([conv1x1(c_out=101, sparsity=0.8, pattern=pattern)], seed=3)
    data = to_bytes(network)
    assert u32(data, 4) == 3
    record = data[64:192]
    assert u32(record, 124) == 2 + 4
    weight, counts, coded = (
        data[u64(record, i) : u64(record, i) + u64(record, i + 8)] for i in (56, 88, 104)
    )
    values, counts = np.frombuffer(weight, "f4"), np.frombuffer(counts, "u2").tolist()
    steps = [half for byte in coded for half in (byte & 15, byte >> 4)]
    total = sum(counts) + sum(step == 15 for step in steps)
    assert total in (len(steps), len(steps) - 1)
    height = 4 if isinstance(pattern, Block) else 1
    weight, values = np.zeros((101, 700), np.float32), iter(values)
    for row, columns in enumerate(read_columns(steps[:total], counts, skip=15)):
        for column in columns:
            for d in range(row * height, min((row + 1) * height, 101)):
                weight[d, column] = next(values)
    np.testing.assert_array_equal(weight, network.weights[0].weight)


def test_halves_are_half_as_large():
    network = random_network([conv1x1(c_out=64, sparsity=0.8)], seed=3)
    full, data = to_bytes(network), to_bytes(network, float16=True)
    assert u32(data, 4) == 3
    record = data[64:192]
    assert u32(record, 124) & 1
    assert u64(record, 64) == 2 * u64(record, 48)
    assert u64(record, 80) == 2 * 64
    assert len(full) - len(data) == pytest.approx(2 * (network.layers[0].nonzeros + 64), abs=128)
    found, expected = from_bytes(data).weights[0], halved(network).weights[0]
    np.testing.assert_array_equal(found.weight, expected.weight)
    np.testing.assert_array_equal(found.bias, expected.bias)


def test_layout_is_hwc_where_a_convolution_reads_the_image():
    stem = Layer(name="stem", op="conv_hwc", inputs=(IMAGE,), c_in=3, c_out=4, height=5, width=5, kernel=3)
    assert u32(to_bytes(random_network([stem], seed=0)), 20) == 0
    mixed = conv1x1(c_in=3, height=5, width=5)
    with pytest.raises(UserError, match="one of the two"):
        to_bytes(random_network([stem, mixed], seed=0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"op": "depthwise", "c_in": 3, "kernel": 3}, r"\(depthwise\) cannot be unstructured, only dense\."),
        (
            {"pattern": NByM(2, 4)},
            r"\(conv1x1\) cannot be 2:4, only dense or unstructured or block2 or block4",
        ),
        ({"op": "conv", "c_in": 3, "kernel": 3, "pattern": Block(4)}, r"\(conv\) cannot be block4"),
    ],
)
def test_not_every_operator_has_every_pattern(settings, message):
    with pytest.raises(UserError, match=f"'mix' {message}"):
        to_bytes(random_network([conv1x1(**settings)], seed=0))


def blobs_of(data):
    """Returns the blobs of the first layer: values, counts and column steps."""
    record = data[64:192]
    weight, counts, steps = (
        data[u64(record, i) : u64(record, i) + u64(record, i + 8)] for i in (56, 88, 104)
    )
    return np.frombuffer(weight, "f4"), np.frombuffer(counts, "u4"), steps


@pytest.mark.parametrize(("rows", "c_out"), [(2, 4), (2, 5), (4, 4), (4, 11), (4, 2)])
def test_blocks_are_one_step_each_and_their_values_together(rows, c_out):
    one = conv1x1(c_out=c_out, pattern=Block(rows))
    network = random_network([one], seed=3)
    data = to_bytes(network)
    values, counts, steps = blobs_of(data)
    assert u32(data, 64 + 4) == {2: 2, 4: 3}[rows]
    assert u64(data, 64 + 48) == values.size == one.nonzeros
    assert counts.size == -(-c_out // rows)
    weight, values = np.zeros((c_out, 700), np.float32), iter(values)
    for row, columns in enumerate(read_columns(steps, counts)):
        for column in columns:
            for d in range(row * rows, min((row + 1) * rows, c_out)):
                weight[d, column] = next(values)
    np.testing.assert_array_equal(weight, network.weights[0].weight)


def test_a_block_keeps_its_zeros():
    weight = np.zeros((3, 700), np.float32)
    weight[0, 5], weight[1, 9], weight[2, 9] = 1, 2, 3
    one = conv1x1(pattern=Block(2))
    data = to_bytes(Network((one,), (LayerWeights(weight, np.zeros(3, np.float32)),), (), (2, 5, 700)))
    values, counts, steps = blobs_of(data)
    assert values.tolist() == [1, 0, 0, 2, 3]
    assert (counts.tolist(), list(steps)) == ([2, 1], [5, 4, 9])


@pytest.mark.parametrize("pattern", [Unstructured(), KernelPattern()])
def test_columns_of_a_convolution_count_windows(pattern):
    one = conv1x1(op="conv", c_in=6, kernel=3, pattern=pattern, sparsity=0.8)
    network = random_network([one], seed=3)
    values, counts, steps = blobs_of(to_bytes(network))
    weight, values = np.zeros((3, 6, 3, 3), np.float32), iter(values)
    for d, columns in enumerate(read_columns(steps, counts)):
        for column in columns:
            weight[d, column // 9, column // 3 % 3, column % 3] = next(values)
    np.testing.assert_array_equal(weight, network.weights[0].weight)


def test_weights_that_do_not_fit_their_pattern_are_refused():
    one = conv1x1(op="conv", c_in=2, kernel=3, pattern=KernelPattern(), sparsity=0.8)
    weight = np.ones((3, 2, 3, 3), np.float32)
    network = Network((one,), (LayerWeights(weight, np.zeros(3, np.float32)),), (), (2, 5, 2))
    with pytest.raises(UserError, match=r"'mix' \(pattern\) must have kernels within one of 8 patterns"):
        to_bytes(network)


def test_names_have_no_control_characters():
    head = conv1x1(op="fully_connected", height=1, width=1)
    with pytest.raises(UserError, match="control characters"):
        to_bytes(random_network([head], seed=0, classes=["cat", "dog\n", "cow"]))


def test_write_replaces_the_file_whole(tmp_path: Path):
    network = random_network([conv1x1()], seed=3)
    path = tmp_path / "model.snas"
    path.write_bytes(b"something longer" * 10000)
    assert write(network, path) == path.stat().st_size
    assert path.read_bytes() == to_bytes(network)
    assert list(tmp_path.iterdir()) == [path]


def test_write_says_why_it_cannot(tmp_path: Path):
    with pytest.raises(UserError, match="Cannot write model .*No such file"):
        write(random_network([conv1x1()], seed=3), tmp_path / "missing" / "model.snas")


def test_rows_without_nonzeros_are_kept():
    weight = np.zeros((3, 700), np.float32)
    weight[1, 699] = 2
    network = Network((conv1x1(),), (LayerWeights(weight, np.zeros(3, np.float32)),), (), (2, 5, 700))
    data = to_bytes(network)
    counts, columns = u64(data, 64 + 88), u64(data, 64 + 104)
    assert [u32(data, counts + 4 * row) for row in range(3)] == [0, 1, 0]
    assert list(data[columns:]) == [255, 255, 189]
