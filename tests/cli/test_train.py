"""`sparsenas train`: one architecture alone, from images to a model file."""

import json
import signal

import numpy as np
import pytest

from sparsenas import checkpoint, native
from sparsenas.__main__ import main
from sparsenas.cli.lookup import find_series, find_space, known_series
from sparsenas.data import load
from sparsenas.latency.table import save
from sparsenas.single.run import load_run
from sparsenas.single.settings import architecture
from tests.latency.made_up import table_of_space

SHORT = ["--network.steps", "40", "--limit", "200"]
SPACE = find_space("tiny")

SERIES = """
from sparsenas.single.series import Job, Series
from sparsenas.single.settings import TrainSettings
from sparsenas.train import NetworkSettings

NETWORK = NetworkSettings(steps=20)
SERIES = Series(
    claim="Zeros cost little.",
    paper="Nobody, 2026",
    jobs={
        "first": Job(arch="smallest", settings=TrainSettings(dense=True, network=NETWORK)),
        "second": Job(arch="smallest", settings=TrainSettings(start="first", sparsity=0.8, network=NETWORK)),
    },
)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A place with one finished run, `dense`, of the smallest network."""
    folder = tmp_path_factory.mktemp("train")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.chdir(folder)
        assert main(["train", "smallest", "--dense", "--out", "dense", *SHORT]) == 0
        yield folder


def fails(capsys, *args):
    assert main(list(args)) == 2
    found = capsys.readouterr().err
    assert found.startswith("sparsenas: error: ")
    assert found.count("\n") == 1
    return found


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def test_a_run_leaves_what_it_promises(folder):
    found = summary(folder / "dense")
    space = SPACE.fixed(SPACE.smallest, dense=True)
    assert found["arch"] == SPACE.text(SPACE.smallest)
    assert found["distribution"] == "dense"
    assert found["nonzeros"] == found["weights"] == sum(layer.nonzeros for layer in space.layers(()))
    assert found["parity_max_abs_error"] < 1e-4
    assert found["file_bytes"] == (folder / "dense" / "best" / "model.snas").stat().st_size
    assert found["latency_ms_predicted"] is None
    model = native.Model.open(folder / "dense" / "best" / "model.snas")
    test = load("digits", size=(32, 32), seed=0, limit=200).test
    logits = model.run(test.images.astype(np.float32) / 255)
    assert (logits.argmax(1) == test.labels).mean() == pytest.approx(found["accuracy"])


def test_other_commands_know_the_folder(folder, capsys):
    assert main(["export", "dense", "--out", "again.snas"]) == 0
    assert (folder / "again.snas").read_bytes() == (folder / "dense" / "best" / "model.snas").read_bytes()


def test_zeros_come_from_a_device_a_start_and_a_teacher(folder, capsys):
    save(table_of_space(SPACE), folder / "table.json")
    given = ["--distribution", "guided", "--device", "table.json", "--sparsity", "0.85"]
    learned = ["--start", "dense", "--teacher", "dense", "--network.ema", "0.9"]
    assert main(["train", "smallest", "--out", "guided", *given, *learned, *SHORT]) == 0
    assert "latency, predicted on table.json" in capsys.readouterr().out
    found = summary(folder / "guided")
    assert found["distribution"] == "guided"
    assert 0.2 < found["sparsity"] < 0.95
    assert found["latency_ms_predicted"] > 0
    model = native.Model.open(folder / "guided" / "best" / "model.snas")
    nonzeros = {layer["name"]: layer["nonzeros"] for layer in found["layers"]}
    layers = [
        layer for layer in model.layers if layer.op in ("conv_hwc", "conv1x1", "depthwise", "fully_connected")
    ]
    assert [layer.nonzeros for layer in layers] == list(nonzeros.values())


def test_a_stopped_training_says_how_to_go_on_and_does(folder, capsys, monkeypatch):
    """A real Ctrl-C, right after the first checkpoint; that no bit differs then is shown elsewhere."""
    save = checkpoint.save_step

    def save_and_interrupt(*args, **kwargs):
        save(*args, **kwargs)
        monkeypatch.undo()
        # Whoever runs the tests in the background may ignore interrupts.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, before)

    monkeypatch.setattr(checkpoint, "save_step", save_and_interrupt)
    assert main(["train", "smallest", "--out", "stopped", *SHORT, "--checkpoint-every", "20"]) == 130
    assert "Stopped. Go on with: sparsenas train --resume stopped" in capsys.readouterr().out
    assert not (folder / "stopped" / "summary.json").exists()
    assert checkpoint.steps(folder / "stopped" / "checkpoints") == [20]
    assert main(["train", "--resume", "stopped"]) == 0
    assert sorted(checkpoint.steps(folder / "stopped" / "checkpoints")) == [20, 40]
    assert summary(folder / "stopped")["steps"] == 40


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "Expected an architecture to train"),
        (["best"], "Names of space 'tiny' are largest, dense, smallest"),
        (["0-1"], "has 14 option indices, found 2"),
        (["largest", "--sparsity", "1"], "`sparsity` must be above 0 and below 1, found 1; at 1 nothing"),
        (["dense", "--sparsity", "0.5"], "A `dense` network has no zeros"),
        (["largest", "--distribution", "guided", "--sparsity", "0.5"], "`guided` zeros need a `device`"),
        (["largest", "--target-ms", "1"], "`target_ms` is for `distribution` guided"),
        (["largest", "--target-ms", "-1"], "`target_ms` must be above 0, found -1"),
        (["largest", "--learn-patterns", "4"], "`learn_patterns` needs `pattern` pattern"),
        (["largest", "--teacher", "nobody"], "Expected a finished run in 'nobody'"),
        (["largest", "--out", "dense"], "'dense' exists; give another name with --out, or go on with it"),
        (["--resume", "nothing"], "found none in 'nothing'"),
        (["largest", "--resume", "dense"], "keeps its own settings; give --resume alone"),
        (["largest", "--network.steps", "0"], "`steps` must be at least 1"),
        (["largest", "--network.algorithm", "magic"], "--network.algorithm"),
        (["largest", "--start", "dense", "--out", "other"], "it belongs to another space"),
        (
            ["largest", "--sparsity", "0.8", "--pattern", "pattern", "--out", "kernels"],
            "No layer with 3x3 kernels of space 'tiny'",
        ),
        (["largest", "--dataset", "digits.npz"], "No data set named 'digits.npz'"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, args, says):
    assert says in fails(capsys, "train", *args)


def test_a_search_and_a_training_are_told_apart(folder, capsys):
    (folder / "searched").mkdir(exist_ok=True)
    (folder / "searched" / "config.json").write_text('{"settings": {}}')
    assert "sparsenas search --resume searched" in fails(capsys, "train", "--resume", "searched")


def test_a_series_trains_what_is_missing_and_prints_the_table(folder, capsys):
    (folder / "both.py").write_text(SERIES)
    assert main(["train", "--series", "both.py", "--limit", "150", "--out", "both"]) == 0
    text = capsys.readouterr().out
    assert "Zeros cost little. (Nobody, 2026)" in text
    lines = (folder / "both" / "results.md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in lines[4:6]] == ["| first", "| second"]
    assert f"{summary(folder / 'both' / 'second')['nonzeros']:,}" in lines[5]
    assert load_run(folder / "both" / "second")[0].start == "both/first"
    results = json.loads((folder / "both" / "results.json").read_text())
    assert results["machine"] == native.cpu()
    for name, found in results["jobs"].items():
        assert found["accuracy"] == summary(folder / "both" / name)["accuracy"]
        assert found["latency_ms_measured"] > 0
    (folder / "both" / "second" / "summary.json").unlink()
    before = (folder / "both" / "first" / "summary.json").stat().st_mtime_ns
    assert main(["train", "--series", "both.py", "--limit", "150", "--out", "both"]) == 0
    again = (folder / "both" / "results.md").read_text().splitlines()
    # All but milliseconds and minutes.
    assert [line.split(" | ")[:5] for line in again] == [line.split(" | ")[:5] for line in lines]
    assert (folder / "both" / "first" / "summary.json").stat().st_mtime_ns == before
    assert "other settings than this series" in fails(capsys, "train", "--series", "both.py", "--out", "both")
    assert "its own settings" in fails(capsys, "train", "largest", "--series", "both.py")
    assert "must define FULL" in fails(capsys, "train", "--series", "both.py", "--full")
    assert "`--full` is for --series" in fails(capsys, "train", "largest", "--full")
    assert "No experiment named 'neither'" in fails(capsys, "train", "--series", "neither")


def test_all_series_make_one_page(folder, capsys, monkeypatch):
    (folder / "again.py").write_text(SERIES)
    monkeypatch.setattr("sparsenas.cli.train.known_series", lambda: ["both.py", "again.py"])
    assert main(["train", "--series", "all", "--limit", "150", "--out", "page"]) == 0
    page = (folder / "page" / "results.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## both.py", "## again.py"]
    assert page.count("| second |") == 2
    assert "Wrote page/results.md" in capsys.readouterr().out


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", known_series())
def test_series_that_come_along_can_be_trained(name, full):
    series = find_series(name, full=full)
    for job in series.jobs.values():
        space = find_space(job.settings.space, job.settings.side)
        text = job.arch if isinstance(job.arch, str) else space.text(space.pick(job.arch))
        arch, settings = architecture(space, text, job.settings)
        assert space.check(arch) == arch
        assert settings.start in (None, *series.jobs)


def test_there_is_a_series_for_each_paper():
    assert known_series() == ["fast_sparse_convnets", "holistic_sparse_cnn", "pconv"]


def test_the_side_of_images_goes_along(folder, capsys):
    """A network for smaller images, trained on from its own weights."""
    small = ["train", "smallest", "--dense", "--side", "16", *SHORT]
    assert main([*small, "--out", "side16"]) == 0
    assert native.Model.open(folder / "side16" / "best" / "model.snas").image == (16, 16, 3)
    assert main([*small, "--start", "side16", "--out", "side16-on"]) == 0
    assert json.loads((folder / "side16-on" / "best" / "arch.json").read_text())["side"] == 16
    said = fails(capsys, "train", "smallest", "--teacher", "side16", "--out", "taught16", *SHORT)
    assert "an image of (16, 16, 3)" in said


def test_a_teacher_of_other_classes_is_refused(folder, capsys):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 32, 32, 3), np.uint8)
    np.savez("three.npz", x_train=images, y_train=np.arange(12) % 3, x_test=images, y_test=np.arange(12) % 3)
    said = fails(
        capsys, "train", "smallest", "--dataset", "three.npz", "--teacher", "dense", "--out", "taught"
    )
    assert "The teacher (tiny) has classes 10, the network that is to learn from it 3" in said


def test_checkpoints_of_other_settings_are_refused(folder, capsys):
    config = json.loads((folder / "dense" / "config.json").read_text())
    config["train"]["network"]["learning_rate"] = 0.5
    (folder / "dense" / "config.json").write_text(json.dumps(config))
    said = fails(capsys, "train", "--resume", "dense")
    assert "belong to another training: its learning_rate is 0.02, this one's is 0.5" in said
