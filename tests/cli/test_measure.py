import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sparsenas.__main__ import main
from sparsenas.latency.table import load

SPACE = """
from sparsenas.builder import Builder
from sparsenas.sparsity.patterns import Sparse

net = Builder("{name}", image=(8, 8, 3), classes={classes})
x = net.conv_hwc("stem", net.image, 8)
x = net.conv1x1("mix", x, 16, sparsity=net.choice("zeros", (Sparse(0.5), Sparse(0.9))))
SPACE = net.classify(x)
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder with two small spaces, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, classes in (("one", 4), ("two", 6)):
        (tmp_path / f"{name}.py").write_text(SPACE.format(name=name, classes=classes))
    return tmp_path


def measure(*args):
    return main(["measure", "--busy", "--networks", "2", "--rounds", "2", *args])


def fails(capsys, *args):
    """Measures what must fail in one line, and returns the line."""
    assert measure(*args) == 2
    said = capsys.readouterr().err
    assert said.startswith("sparsenas: error: ")
    assert said.count("\n") == 1
    return said


def test_table_has_the_layers_of_all_spaces_once(home):
    assert measure("--space", "one.py", "two.py", "--out", "both.json") == 0
    table = load(home / "both.json")
    assert table.device == "both"
    # Stem, pool, the 1x1 convolution in three forms, and a classifier of each.
    assert len(table.layers) == 7
    assert len(table.networks) == 4
    assert not list(home.glob("*.part"))


def test_table_of_this_machine_goes_to_its_place(home):
    assert measure("--space", "one.py") == 0
    (path,) = (home / "cache").rglob("*.json")
    assert load(path).device == "local"


def test_another_instruction_set_of_this_machine_can_be_measured(home):
    assert measure("--space", "one.py", "--isa", "scalar", "--out", "scalar.json") == 0
    table = load(home / "scalar.json")
    assert table.machine["isa"] == "scalar"
    assert all(one.kernel.endswith("_scalar") for one in table.layers)


def test_interrupted_measurement_goes_on_with_the_same_command(home):
    args = ["--busy", "--networks", "2", "--space", "one.py", "--out", "one.json", "--rounds", "3000"]
    journal = home / "one.json.part"
    # Whoever runs the tests in the background may ignore interrupts, and children inherit that.
    heeding = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from sparsenas.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", heeding, "measure", *args],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and (not journal.exists() or journal.read_text().count("\n") < 5):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == "sparsenas measure: interrupted\n"
    assert not (home / "one.json").exists()
    kept = journal.read_text().splitlines()
    header, batch = json.loads(kept[0]), json.loads(kept[1])
    # As if so many rounds had been asked for; 3,000 take minutes.
    header["rounds"] = batch["wanted"] = len(kept)
    journal.write_text("\n".join([json.dumps(header), json.dumps(batch), *kept[2:], ""]))
    assert main(["measure", *args[:-1], str(len(kept))]) == 0
    assert not journal.exists()
    assert len(load(home / "one.json").layers) == 6


def test_journal_of_another_measurement_stays(home, capsys):
    (home / "one.json.part").write_text('{"device": "local", "build": "other"}\n')
    said = fails(capsys, "--space", "one.py", "--out", "one.json")
    assert "one.json.part' belongs to another measurement: build is 'other' there" in said
    assert not (home / "one.json").exists()
    assert "other" in (home / "one.json.part").read_text()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--device", "node"], "Give the table of 'node' a file: --out NAME.json."),
        (["--device", "phone", "--out", "x.json"], "Expected a device like local, ssh://"),
        (["--space", "none.py", "--out", "x.json"], "No file 'none.py'"),
        (["--out", "x.json", "--threads", "4000", "--quick"], "`threads` must be from 1 to"),
        (["--out", "x.json", "--rounds", "0"], "`rounds` must be at least 1, found 0"),
        (["--out", "/proc/x.json"], "Cannot write to '/proc'"),
        (["--space", "one.py", "--isa", "mmx", "--out", "x.json"], "has no instruction set 'mmx'"),
        (["--device", "modelled:m4", "--out", "x.json"], "No modelled core named 'm4'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_file(home, capsys, args, says):
    assert says in fails(capsys, *args)
    assert not list(home.glob("x.json*"))


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="Only root may mount a small file system."
)
def test_full_disk_is_one_line_and_leaves_no_table(home, capsys):
    (home / "small").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=8", "tmpfs", "small"]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("A file system of 4 KB cannot be mounted here.")
    try:
        said = fails(capsys, "--space", "one.py", "--rounds", "400", "--out", "small/one.json")
        assert "Cannot write 'small/one.json.part': No space left on device" in said
        assert not (home / "small" / "one.json").exists()
    finally:
        subprocess.run(["umount", "small"], check=True)
