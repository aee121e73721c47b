"""sparsenas export: sources, names, and what is said."""

import json

import numpy as np
import pytest

from sparsenas import checkpoint
from sparsenas.__main__ import main
from sparsenas.cli.lookup import find_space
from sparsenas.export.fold import fold
from sparsenas.export.network import random_network, reference
from sparsenas.export.read import read
from sparsenas.export.snas import to_bytes, write
from sparsenas.networks.catalog import REFERENCES
from sparsenas.networks.pruning import uniform
from sparsenas.supernet import supernet
from tests.cli.test_main import fails

CLASSES = tuple("abcdefghij")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder as a search leaves it, of a network that was never trained."""
    monkeypatch.chdir(tmp_path)
    space = find_space("tiny", 16)
    arch = space.smallest
    fixed = space.fixed(arch)
    variables = supernet(fixed).init(np.random.default_rng(0))
    layers = {layer.name: layer for layer in fixed.layers(())}
    params = {name: dict(layer) for name, layer in variables.params.items()}
    for name, layer in layers.items():
        if layer.sparsity:
            weight = np.array(params[name]["weight"])
            weight.flat[layer.nonzeros :] = 0
            params[name]["weight"] = weight
    variables = variables._replace(params=params)
    network = fold(fixed, variables, classes=CLASSES)
    folder = tmp_path / "mine"
    (folder / "best").mkdir(parents=True)
    (folder / "candidates").mkdir()
    (folder / "best" / "model.snas").write_bytes(to_bytes(network))
    settings = {"space": "tiny", "side": 16, "dataset": "digits", "seed": 0}
    (folder / "config.json").write_text(json.dumps({"settings": settings}))
    arrays, text = checkpoint.to_arrays(variables), space.text(arch)
    checkpoint.save(folder / "best" / "weights.safetensors", arrays, about={"arch": text})
    checkpoint.save(folder / "candidates" / f"{text}.safetensors", arrays, about={"accuracy": "0.5"})
    return folder


def test_a_run_is_checked_with_its_test_images(run, capsys):
    assert main(["export", "mine", "--out", "model.snas"]) == 0
    said = capsys.readouterr().out
    assert "on 539 images of digits (test)" in said
    assert "the same class for 100.00%" in said
    assert (run.parent / "model.snas").read_bytes() == (run / "best" / "model.snas").read_bytes()
    assert json.loads((run.parent / "model.snas.json").read_text())["source"] == "digits (test)"


def test_a_model_file_is_checked_with_noise(run, capsys):
    assert (
        main(
            [
                "export",
                "mine/best/model.snas",
                "--out",
                "o.stablehlo",
                "--format",
                "stablehlo",
                "--images",
                "5",
            ]
        )
        == 0
    )
    assert "on 5 images of noise" in capsys.readouterr().out


def test_weights_of_a_candidate_are_the_same_network(run):
    expected = read(run / "best" / "model.snas")
    images = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    candidate = next((run / "candidates").iterdir())
    for source in (run / "best" / "weights.safetensors", candidate):
        assert main(["export", str(source), "--out", "one.snas", "--force", "--images", "2"]) == 0
        found = read(run.parent / "one.snas")
        assert found.classes == expected.classes
        assert found.nonzeros == expected.nonzeros
        np.testing.assert_allclose(reference(found, images), reference(expected, images), rtol=1e-12)


def state_of(variables):
    """The state of a training with an average, as its checkpoints have it."""
    lost = {
        name: {key: 0 * value for key, value in layer.items()} for name, layer in variables.params.items()
    }
    kept = {
        "step": np.int32(7), "params": lost, "stats": variables.stats, "optimizer": (),
        "average": (variables.params, variables.stats),
    }  # fmt: skip
    return checkpoint.to_arrays({"state": kept, "arch": variables.arch, "ranks": variables.ranks})


def test_a_training_is_exported_as_it_is_so_far(run):
    space = find_space("tiny", 16)
    fixed = space.fixed(space.smallest, dense=True)
    variables = supernet(fixed).init(np.random.default_rng(0))
    text = space.text(space.smallest)
    settings = {"space": "tiny", "side": 16, "dataset": "digits", "seed": 0}
    (run / "config.json").write_text(json.dumps({"train": settings, "arch": text}))
    for step in (7, 14):
        checkpoint.save_step(run / "checkpoints", step, state_of(variables), about={})
    expected = fold(fixed, variables, classes=CLASSES)
    for source in ("mine/checkpoints", "mine/checkpoints/step-00000007.safetensors"):
        assert main(["export", source, "--out", "one.snas", "--force", "--images", "2"]) == 0
        found = read(run.parent / "one.snas")
        for one, other in zip(found.weights, expected.weights, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_array_equal(one.weight, other.weight)


@pytest.fixture
def supernets(run):
    """The run with a supernet that was never trained, whole and as a checkpoint."""
    space = find_space("tiny", 16)
    variables = supernet(space).init(np.random.default_rng(0))
    about = {"space": space.fingerprint()}
    place = run / "checkpoints"
    checkpoint.save(place / "supernet.safetensors", checkpoint.to_arrays(variables), about=about)
    checkpoint.save_step(place / "supernet", 3, state_of(variables), about={})
    return space


def test_networks_of_a_supernet_are_cut_out(run, supernets, capsys):
    space = supernets
    (run / "best" / "arch.json").write_text(json.dumps({"arch": space.text(space.smallest)}))
    wanted = {(): space.largest, ("--arch", "mine/best/arch.json"): space.smallest}
    for args, arch in wanted.items():
        args = ["export", "mine/checkpoints/supernet.safetensors", *args, "--out", "one.snas", "--force"]
        assert main([*args, "--images", "2"]) == 0
        assert "on 2 images of digits (test)" in capsys.readouterr().out
        found, layers = read(run.parent / "one.snas"), space.layers(arch)
        assert [(one.name, one.c_out, one.kernel) for one in found.layers] == [
            (layer.name, layer.c_out, layer.kernel) for layer in layers
        ]
        # But for rounding in each of the shells that weights are ranked in.
        total = sum(layer.nonzeros for layer in layers if layer.weight_shape is not None)
        assert found.nonzeros == pytest.approx(total, rel=0.02)
        # Statistics are those of this network: activations before the classifier are of size 1.
        outputs = reference(found, np.random.default_rng(0).random((8, 16, 16, 3), np.float32))
        assert np.isfinite(outputs).all()


def test_a_supernet_so_far_is_the_same(run, supernets):
    smallest = ["--arch", "smallest", "--images", "2"]
    assert main(["export", "mine/checkpoints/supernet", "--out", "sofar.snas", *smallest]) == 0
    assert main(["export", "mine/checkpoints/supernet.safetensors", "--out", "done.snas", *smallest]) == 0
    assert (run.parent / "sofar.snas").read_bytes() == (run.parent / "done.snas").read_bytes()


def test_weights_that_are_no_network_say_what_they_are(run, supernets, capsys):
    out = ["--out", "o"]
    weights = "mine/checkpoints/supernet.safetensors"
    assert "No architecture of space 'tiny' is named 'huge'" in fails(
        capsys, "export", weights, *out, "--arch", "huge"
    )
    assert "Expected the arch.json of a run" in fails(
        capsys, "export", weights, *out, "--arch", "mine/config.json"
    )
    assert "`--arch` is for the checkpoint of a supernet" in fails(
        capsys, "export", "mine/best/model.snas", *out, "--arch", "largest"
    )
    arrays, _ = checkpoint.load(run / "checkpoints" / "supernet.safetensors")
    checkpoint.save(run / "checkpoints" / "supernet.safetensors", arrays, about={"space": "other"})
    assert "another version of space 'tiny'" in fails(capsys, "export", weights, *out)
    checkpoint.save_step(run / "checkpoints" / "architecture", 1, arrays, about={})
    assert "a search by gradients that is not done" in fails(
        capsys, "export", "mine/checkpoints/architecture", *out
    )
    checkpoint.save(run / "results" / "0-0.safetensors", arrays, about={"candidate": "0"})
    assert "is what a rung of training left" in fails(capsys, "export", "mine/results/0-0.safetensors", *out)


def test_layers_whose_zeros_litert_cannot_use_are_said(run, capsys):
    pytest.importorskip("ai_edge_litert", reason="pip install 'sparsenas[peers]'")
    layers = REFERENCES["resnet18"].layers(width=0.25, side=32, classes=5, rule=uniform(0.9))
    write(random_network(layers, seed=0), "windows.snas")
    assert main(["export", "windows.snas", "--format", "tflite", "--out", "m.tflite", "--images", "2"]) == 0
    notes = json.loads((run.parent / "m.tflite.json").read_text())["notes"]
    said = capsys.readouterr().out
    assert notes
    assert all(name in said and why[:30] in said for name, why in notes.items())
    # Those of a network that it takes as it is.
    assert main(["export", "mine", "--format", "tflite", "--out", "n.tflite", "--images", "2"]) == 0
    assert "makes no use of" not in capsys.readouterr().out


def test_a_packed_file_says_what_it_was_tuned_for(run):
    from sparsenas import native

    assert main(["export", "mine", "--out", "packed.snas", "--device", "local", "--images", "2"]) == 0
    assert native.Model.open(run.parent / "packed.snas").tuning == "tuned for this machine, 1 thread"


def test_bad_requests_are_one_line(run, capsys):
    export = ["export", "mine"]
    assert "--out" in fails(capsys, *export)
    assert "Cannot read model 'none'" in fails(capsys, "export", "none", "--out", "o")
    assert "sparse-initializer` is for onnx, not for snas" in fails(
        capsys, *export, "--out", "o", "--sparse-initializer"
    )
    assert "`--device` packs model files" in fails(
        capsys, *export, "--out", "o", "--format", "onnx", "--device", "local"
    )
    assert "`--images` must be at least 1, found 0" in fails(capsys, *export, "--out", "o", "--images", "0")
    assert "'mine' exists; give another --out" in fails(capsys, *export, "--out", "mine")
    assert "is no export" in fails(capsys, *export, "--out", "mine", "--force")
    assert "found no mine/best/dense.snas" in fails(capsys, *export, "--dense", "--out", "o")
    assert "No data set named 'letters'" in fails(capsys, *export, "--out", "o", "--dataset", "letters")
    assert "Expected a device like" in fails(capsys, *export, "--out", "o", "--device", "fridge")
    (run / "config.json").unlink()
    weights = "mine/best/weights.safetensors"
    assert "found no mine/config.json" in fails(capsys, "export", weights, "--out", "o")
    assert sorted(path.name for path in run.parent.iterdir()) == ["mine"]
