"""What a user sees: help, and one line with exit code 2 for each mistake."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import get_args

import pytest

from sparsenas.__main__ import COMMANDS, main
from sparsenas.cli.lookup import find_space
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes, write
from sparsenas.latency import campaign
from sparsenas.latency.design import of_space
from sparsenas.latency.library import LOCAL
from sparsenas.latency.local import Local
from sparsenas.latency.model import LatencyModel
from sparsenas.latency.table import load, save


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """A real, hasty latency table of this machine."""
    path = tmp_path_factory.mktemp("tables") / "here.json"
    design = of_space(find_space("tiny"), seed=0, networks=4, rounds=2)
    with Local(name="here", busy=True) as device:
        save(campaign.run(design, device), path)
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder to work in, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fails(capsys, *args):
    """Runs a command that must fail in one line, and returns the line."""
    assert main(list(args)) == 2
    found = capsys.readouterr().err
    assert found.startswith("sparsenas: error: ")
    assert found.count("\n") == 1
    return found


@pytest.mark.parametrize("args", [["--help"], ["--version"], []])
def test_help_imports_nothing_heavy(args):
    code = (
        "import sys; from sparsenas.__main__ import main; main(sys.argv[1:]);"
        "heavy = {'jax', 'numpy', 'ray', 'tyro', 'rich'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_its_options(command, capsys):
    with pytest.raises(SystemExit) as exit:
        main([command, "--help"])
    assert not exit.value.code
    text = capsys.readouterr().out
    assert f"sparsenas {command}" in text
    assert "--" in text


LOST = """
import gc, signal, sys, time, types
from sparsenas import __main__

# Whoever runs tests in the background may ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

def main(args):
    def callback(phase, about):
        gc.callbacks.remove(callback)
        raise KeyboardInterrupt
    gc.callbacks.append(callback)
    gc.collect()
    time.sleep(30)

sys.modules["sparsenas.cli.lost"] = types.SimpleNamespace(main=main)
__main__.COMMANDS["lost"] = ""
sys.argv = ["sparsenas", "lost"]
__main__.command()
"""


def test_ctrl_c_in_a_callback_of_the_collector_is_not_lost():
    ended = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=25)
    assert (ended.returncode, ended.stderr) == (130, "sparsenas lost: interrupted\n")


def test_unknown_names_list_the_known_ones(home, capsys):
    assert "There are: search, train, measure" in fails(capsys, "find")
    assert "There are: alexnet, efficientnet" in fails(capsys, "search", "--space", "huge")
    assert "There are: regularized_evolution, random" in fails(capsys, "search", "--strategy", "luck")
    assert "There are: local" in fails(capsys, "search", "--device", "phone")
    assert "digits" in fails(capsys, "search", "--dataset", "letters")
    assert "--trails" in fails(capsys, "search", "--trails", "9")
    assert "--workers" in fails(capsys, "search", "--workers", "many")


def test_settings_that_mean_nothing_are_refused(home, capsys):
    assert "`trials` must be at least 1, found 0" in fails(capsys, "search", "--trials", "0")
    assert "`side` of the image must be at least 1, found 0" in fails(capsys, "search", "--side", "0")
    assert "`target_ms` must be above 0" in fails(capsys, "search", "--target-ms", "-1")
    assert "`workers` must be 0 or more" in fails(capsys, "search", "--workers", "-1", "--target-ms", "9")


def test_existing_run_is_left_alone(home, capsys):
    (home / "mine").mkdir()
    (home / "mine" / "config.json").write_text("kept")
    said = fails(capsys, "search", "--out", "mine")
    assert "'mine' exists" in said
    assert "--resume mine" in said
    assert [(path.name, path.read_text()) for path in (home / "mine").iterdir()] == [("config.json", "kept")]


def test_resume_wants_a_run(home, capsys):
    assert "found none in 'nothing'" in fails(capsys, "search", "--resume", "nothing")
    (home / "broken").mkdir()
    (home / "broken" / "config.json").write_text("{")
    assert "Cannot read the run's settings" in fails(capsys, "search", "--resume", "broken")


def test_unreachable_target_says_the_fastest(home, capsys, table):
    said = fails(capsys, "search", "--device", str(table), "--target-ms", "0.0001", "--workers", "0")
    assert "No architecture of space 'tiny' reaches 0.0001 ms" in said
    fastest = float(said.split("is predicted to take ")[1].split(" ms")[0])
    assert 0.0001 < fastest < 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"machine": {"cpu": "Another 9000", "isa": "neon"}}, "measured on cpu 'Another 9000'"),
        ({"build": "0123"}, "belongs to build 0123"),
    ],
)
def test_table_of_another_machine_is_refused(home, capsys, table, change, says):
    other = home / "other.json"
    save(replace(load(table), **change), other)
    assert says in fails(capsys, "search", "--device", str(other))


def test_damaged_model_is_refused(home, capsys):
    space = find_space("tiny")
    model = to_bytes(random_network(space.layers(space.smallest), seed=0))
    (home / "model.snas").write_bytes(model[:-100])
    for args in (["profile", "model.snas"], ["run", "model.snas", "x.png"]):
        said = fails(capsys, *args)
        assert "model.snas" in said
        assert "expected" in said.lower()
    assert "none.snas" in fails(capsys, "profile", "none.snas")


def test_latency_predicts_from_a_table(home, capsys, table):
    assert main(["latency", "smallest", "--device", str(table)]) == 0
    text = capsys.readouterr().out
    assert "classifier" in text
    assert (
        f"{LatencyModel.load(str(table)).predict(find_space('tiny').layers(find_space('tiny').smallest)):.4f}"
        in text
    )
    assert "has no latency table yet" in fails(capsys, "latency", "smallest", "--device", LOCAL)


def test_measure_writes_a_table_and_keeps_an_old_one(home, capsys):
    quick = ["measure", "--space", "tiny", "--rounds", "1", "--networks", "4", "--busy"]
    assert main([*quick, "--out", "here.json"]) == 0
    assert "Wrote here.json" in capsys.readouterr().out
    before = (home / "here.json").read_text()
    assert "exists" in fails(capsys, *quick, "--out", "here.json")
    assert (home / "here.json").read_text() == before
    assert main([*quick, "--out", "here.json", "--force"]) == 0


def test_run_prints_the_most_probable_classes(home, capsys):
    from PIL import Image

    space = find_space("tiny")
    names = [f"kind {i}" for i in range(10)]
    write(random_network(space.layers(space.smallest), seed=0, classes=names), home / "model.snas")
    Image.new("L", (17, 40), 128).save(home / "grey.png")
    assert main(["run", "model.snas", "grey.png", "--top", "3"]) == 0
    assert capsys.readouterr().out.count("kind ") == 3
    (home / "text.png").write_text("not an image")
    assert "text.png" in fails(capsys, "run", "model.snas", "text.png")


def test_profile_names_kernels(home, capsys):
    space = find_space("tiny")
    write(random_network(space.layers(space.smallest), seed=0), home / "model.snas")
    assert main(["profile", "model.snas", "--repeats", "20"]) == 0
    text = capsys.readouterr().out
    assert "conv1x1_unstructured" in text
    assert "pays from" in text
    assert "Whole network" in text
    assert "tuned" not in text
    assert main(["profile", "model.snas", "--repeats", "20", "--threads", "2"]) == 0
    assert "2 threads" in capsys.readouterr().out
    both = ["profile", "model.snas", "--core", "0", "--threads", "2"]
    assert "`core` is for one thread" in fails(capsys, *both)


def test_tune_prints_a_table_and_writes_a_file_that_opens(home, capsys):
    space = find_space("tiny")
    write(random_network(space.layers(space.smallest), seed=0), home / "model.snas")
    assert main(["tune", "model.snas"]) == 0
    text = capsys.readouterr().out
    assert "unstructured" in text
    assert "measured" in text
    assert "Wrote" not in text
    assert main(["tune", "model.snas", "--out", "tuned.snas"]) == 0
    assert "Wrote tuned.snas" in capsys.readouterr().out
    assert main(["profile", "tuned.snas", "--repeats", "5"]) == 0
    text = capsys.readouterr().out
    assert "The file is tuned for this machine, 1 thread." in text
    assert "measured" in text
    before = (home / "tuned.snas").read_bytes()
    assert "is there already" in fails(capsys, "tune", "model.snas", "--out", "tuned.snas")
    assert (home / "tuned.snas").read_bytes() == before
    assert main(["tune", "tuned.snas", "--out", "tuned.snas", "--force", "--threads", "2"]) == 0
    assert "2 threads" in capsys.readouterr().out
    assert "none.snas" in fails(capsys, "tune", "none.snas")
    assert "`threads` must be at least 1" in fails(capsys, "tune", "model.snas", "--threads", "0")


def test_benchmarks_have_options_of_their_own(home, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["bench", "networks", "--help"])
    assert not exit.value.code
    text = capsys.readouterr().out
    assert "--peers" in text
    assert "--op" not in text
    with pytest.raises(SystemExit):
        main(["bench", "kernels", "--help"])
    assert "--op" in capsys.readouterr().out
    assert "There are: kernels, networks" in fails(capsys, "bench", "everything")
    # Without a name it is about kernels.
    assert "`--sparsity` must be above 5/9" in fails(capsys, "bench", "--sparsity", "0.1")
    assert "`--rounds` must be at least 1, found 0" in fails(capsys, "bench", "kernels", "--rounds", "0")


def test_kernels_are_measured_where_that_means_something(home, capsys):
    bench = ["bench", "kernels"]
    assert "`--threads` must be at least 1, found 0" in fails(capsys, *bench, "--threads", "2,0")
    assert "--threads" in fails(capsys, *bench, "--threads", "many")
    one = fails(capsys, *bench, "--threads", "2", "--isa", "wasm128")
    assert "one thread for wasm128 on this machine: leave out `--threads`" in one
    peers = [*bench, "--peers", "onnxruntime"]
    assert "one thread beside other engines" in fails(capsys, *peers, "--threads", "2")
    assert "Other engines have no wasm128" in fails(capsys, *peers, "--isa", "wasm128")
    assert "leave out `--plot`" in fails(capsys, *peers, "--plot", "roof.svg")
    assert "conv1x1, conv, depthwise, found conv_hwc" in fails(capsys, *peers, "--op", "conv_hwc")
    assert "--peers" in fails(capsys, *bench, "--peers", "abacus")


def test_bench_kernels_prints_what_threads_gain(home, capsys, monkeypatch):
    from sparsenas.bench import kernels

    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    # 25.7 MFLOP dense, less with zeros.
    monkeypatch.setattr(kernels, "POINTWISE", ((128, 128, 28),))
    args = ["--op", "conv1x1", "--sparsity", "0.9", "--threads", "1,2", "--rounds", "1", "--json", "k.json"]
    assert main(["bench", "kernels", *args]) == 0
    text = capsys.readouterr().out
    assert "hot; one thread; geometric" in text
    assert "hot; 2 threads, peak of 2 cores" in text
    gains = text[text.index("2 threads over one, layers of at least 20 MFLOP") :]
    assert "conv1x1 dense" in gains
    assert "block2" not in gains
    assert {record["threads"] for record in json.loads((home / "k.json").read_text())["records"]} == {1, 2}


def test_bench_kernels_compares_single_layers(home, capsys, monkeypatch):
    from sparsenas.bench import layers

    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="needs packages: pip install 'sparsenas[peers]'")
    monkeypatch.setattr(layers, "DEPTHWISE", ((64, 28, 1),))
    args = ["--op", "depthwise", "--peers", "onnxruntime", "--rounds", "3", "--json", "layers.json"]
    assert main(["bench", "kernels", *args]) == 0
    text = capsys.readouterr().out
    assert "depthwise 3x3/1 64x64@28" in text
    assert "over onnxruntime" in text
    records = json.loads((home / "layers.json").read_text())["records"]
    assert [record["engine"] for record in records] == ["sparsenas", "onnxruntime"]


def test_every_reference_network_can_be_measured():
    from sparsenas.bench.peers.process import PEERS
    from sparsenas.cli import bench_kernels
    from sparsenas.cli.bench_networks import Network, Pattern, Peer
    from sparsenas.networks.catalog import REFERENCES

    assert get_args(Network) == tuple(REFERENCES)
    assert set(get_args(Pattern)) == {pattern for made in REFERENCES.values() for pattern in made.presets}
    assert get_args(Peer) == get_args(bench_kernels.Peer) == PEERS


def test_settings_of_networks_that_mean_nothing_are_refused(home, capsys):
    bench = ["bench", "networks"]
    assert "--network" in fails(capsys, *bench, "--network", "lenet")
    assert "`--sparsity` must be 0 or more and below 1, found 1" in fails(capsys, *bench, "--sparsity", "1")
    assert "`--pattern` must name at least one" in fails(capsys, *bench, "--pattern")
    assert "`--threads` must be at least 1, found 0" in fails(capsys, *bench, "--threads", "0")
    assert "`--batch` must be at least 1, found 0" in fails(capsys, *bench, "--batch", "0")
    assert "`--rounds` must be at least 1, found 0" in fails(capsys, *bench, "--rounds", "0")
    one = ["--network", "resnet18", "--pattern", "published", "--sparsity", "0.9"]
    assert "has zeros in pattern published; there are" in fails(capsys, *bench, *one)


def test_bench_networks_prints_a_table_and_writes_every_figure(home, capsys, monkeypatch):
    from sparsenas.cli import bench_networks

    real = bench_networks.bench_networks
    monkeypatch.setattr(
        bench_networks, "bench_networks", lambda **given: real(**given, width=0.25, side=32, classes=10)
    )
    args = ["--network", "mobilenet_v2", "--sparsity", "0", "0.9", "--pattern", "published", "--peers"]
    assert main(["bench", "networks", *args, "--rounds", "1", "--json", "figures.json"]) == 0
    text = capsys.readouterr().out
    assert "own dense" in text
    assert "one thread" in text
    assert "Our model files" in text
    assert "published" in text
    assert "Wrote figures.json" in text
    assert len(json.loads((home / "figures.json").read_text())["records"]) == 2
