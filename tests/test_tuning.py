"""A tuned file runs as it was tuned, and as its weights say wherever else it is opened."""

import zlib

import numpy as np
import pytest

from sparsenas import native
from sparsenas.errors import UserError
from sparsenas.export.network import LayerWeights, Network, random_network, reference
from sparsenas.export.snas import to_bytes, write
from sparsenas.space import IMAGE, Layer
from sparsenas.sparsity.patterns import Block, Dense, KernelPattern, NByM, Unstructured
from tests.native_networks import GOLDEN, ISAS, whole_network


@pytest.mark.parametrize("threads", [1, 2])
def test_a_tuned_file_runs_as_it_was_tuned(threads, tmp_path):
    network = whole_network(33, 17, sparsity=0.8, stride=1)
    path = tmp_path / "model.snas"
    write(network, path)
    told = []
    data, layers = native.tune(path, threads=threads, progress=lambda done, all: told.append((done, all)))
    assert told == [(i, len(layers)) for i in range(len(layers) + 1)]
    plain = native.Model.from_bytes(to_bytes(network), threads=threads)
    tuned = native.Model.from_bytes(data, threads=threads)
    x = np.random.default_rng(0).random((3, *network.image), np.float32)
    np.testing.assert_allclose(tuned.run(x), plain.run(x), atol=1e-5)
    assert plain.tuning == ""
    assert tuned.tuning == f"tuned for this machine, {threads} thread{'s' * (threads > 1)}"
    assert [planned.name for planned in tuned.layers] == [found.name for found in layers]
    for found, planned in zip(layers, tuned.layers, strict=True):
        assert found.note == planned.note or not found.us
        if found.us:
            # Never slower than dense, which is always tried.
            assert found.us[found.form] <= found.us["dense"]
            assert planned.note.startswith(f"{found.form}: measured ")
        else:
            assert found.form == "dense"
    assert any(found.us for found in layers)
    # The file that was tuned opens like any other, and can be tuned again.
    written = tmp_path / "tuned.snas"
    written.write_bytes(data)
    assert native.Model.open(written, threads=threads).weight_bytes == tuned.weight_bytes
    assert len(native.tune(written, threads=threads)[1]) == len(layers)


def test_a_file_tuned_elsewhere_is_read_checked_and_ignored():
    image = np.fromfile(GOLDEN / "tiny_v1.image.f32", "<f4").reshape(1, 9, 7, 3)
    expected = np.fromfile(GOLDEN / "tiny_v1.outputs.f32", "<f4")
    for isa in ISAS:
        model = native.Model.open(GOLDEN / "tiny_v2.snas", isa=isa)
        assert model.tuning == "tuned for another machine: a machine of paper, scalar"
        np.testing.assert_allclose(model.run(image)[0], expected, rtol=1e-4, atol=1e-5)
    data = bytearray((GOLDEN / "tiny_v2.snas").read_bytes())
    section = 64 * int.from_bytes(data[44:48], "little")
    data[section + 128] = 6  # The form of the first layer.
    data[16:20] = zlib.crc32(data[20:]).to_bytes(4, "little")
    with pytest.raises(
        UserError, match=f"offset {section + 128}: tuning: layer 0 'stem': form: expected 0 to 5"
    ):
        native.Model.from_bytes(bytes(data))


@pytest.mark.parametrize(("taps", "allowed"), [([0, 1, 2, 3], False), ([0, 1, 4, 8], True)])
def test_patterns_are_tried_only_where_the_centre_is_among_four(taps, allowed, tmp_path):
    layer = Layer(
        name="conv", op="conv", inputs=(IMAGE,), c_in=8, c_out=16, height=6, width=6, kernel=3,
        sparsity=5 / 9, pattern=Unstructured(),
    )  # fmt: skip
    weight = np.zeros((16, 8, 9), np.float32)
    weight[..., taps] = np.random.default_rng(0).standard_normal((16, 8, 4))
    weights = LayerWeights(weight.reshape(16, 8, 3, 3), np.zeros(16, np.float32))
    path = tmp_path / "model.snas"
    write(Network((layer,), (weights,), (), (6, 6, 8)), path)
    _, (found,) = native.tune(path)
    assert ("pattern" in found.us) == allowed


def test_every_form_is_mapped_as_it_was_packed(tmp_path):
    image = (15, 13, 16)
    for op, kernel, pattern, sparsity in [
        ("conv", 3, KernelPattern(), KernelPattern().fraction(kernels=0.28)),
        ("conv", 3, Unstructured(), 0.9),
        ("conv", 5, Dense(), 0.0),
        ("conv1x1", 1, Block(2), 0.8),
        ("fully_connected", 1, NByM(2, 4), 0.5),
    ]:
        layer = Layer(
            name="layer", op=op, inputs=(IMAGE,), c_in=16, c_out=40, height=15, width=13, kernel=kernel,
            pattern=pattern, sparsity=sparsity,
        )  # fmt: skip
        network = random_network([layer], seed=0)
        path = tmp_path / f"{op}_{pattern.name}.snas"
        write(network, path)
        tuned = native.Model.from_bytes(native.tune(path)[0])
        assert tuned.tuning == "tuned for this machine, 1 thread"
        x = np.random.default_rng(0).random((1, *image), np.float32)
        np.testing.assert_allclose(tuned.run(x), reference(network, x), atol=1e-4)


def test_what_cannot_be_tuned_is_refused(tmp_path):
    with pytest.raises(UserError, match="none.snas"):
        native.tune(tmp_path / "none.snas")
    with pytest.raises(UserError, match="`threads` must be"):
        native.tune(GOLDEN / "tiny_v1.snas", threads=0)
    with pytest.raises(UserError, match="`threads` must be"):
        native.tune(GOLDEN / "tiny_v1.snas", threads=1000)
    with pytest.raises(UserError, match="scalar"):
        native.tune(GOLDEN / "tiny_v1.snas", isa="mmx")
