"""Android devices, over a program `adb` that plays one.

No device is attached where these tests run. The program behaves as adb does towards us: `shell` runs a line
on what stands for the device, a folder of this machine, and returns its exit code; `push` copies files there;
errors are worded as adb words them. What real phones add to that is not tested.
"""

import os
import platform
import shutil
import sys
from pathlib import Path

import pytest

from sparsenas.backends.adb import Adb
from sparsenas.backends.remote import Remote
from sparsenas.errors import UserError
from sparsenas.latency import campaign
from tests.backends.conftest import DESIGN, LAYERS, assert_every_round_once, runner

PROGRAM = """#!{python}
import os, pathlib, shutil, subprocess, sys

here = pathlib.Path({here!r})
serial, command, rest = sys.argv[2], sys.argv[3], sys.argv[4:]
if sys.argv[1] != "-s" or serial != "phone" or (here / "unplugged").exists():
    sys.exit(f"adb: device '{{serial}}' not found")
there = [one.replace("/data/local/tmp", str(here / "tmp")) for one in rest]
if command == "push":
    if (here / "full").exists():
        sys.exit("adb: error: failed to copy 'x' to '/data/local/tmp/x': remote No space left on device")
    for file in there[:-1]:
        shutil.copy(file, there[-1])
    sys.exit()
if rest == ["uname -m"] and (here / "uname").exists():
    sys.exit(print((here / "uname").read_text()))
shell = subprocess.Popen(["sh", "-c", *there], stdout=subprocess.PIPE, text=True)
for i, line in enumerate(shell.stdout):
    if "turns" in rest[0] and i == 3 and (here / "flaky").exists():
        (here / "flaky").unlink()
        shell.kill()
        sys.exit(1)
    print(line.replace(str(here / "tmp"), "/data/local/tmp"), end="", flush=True)
sys.exit(shell.wait())
"""


@pytest.fixture
def phone(tmp_path, monkeypatch):
    """A folder that stands for a device, behind a program `adb`."""
    device = tmp_path / "device"
    (device / "tmp").mkdir(parents=True)
    adb = tmp_path / "bin" / "adb"
    adb.parent.mkdir()
    adb.write_text(PROGRAM.format(python=sys.executable, here=str(device)))
    adb.chmod(0o755)
    monkeypatch.setenv("PATH", str(adb.parent), prepend=os.pathsep)
    return device


def remote(program, serial="phone"):
    return Remote(Adb(f"adb://{serial}"), program=program, busy=True)


def test_layers_are_measured_there_and_nothing_is_left(phone, program):
    with remote(program) as device:
        assert list((phone / "tmp").iterdir())
        table = campaign.run(DESIGN, device)
    assert not list((phone / "tmp").iterdir())
    assert table.device == "adb://phone"
    assert [one.layer for one in table.layers] == list(LAYERS)


def test_measurement_survives_a_loose_cable(phone, program):
    (phone / "flaky").touch()
    seen = []
    with remote(program) as device:
        campaign.run(DESIGN, device, report=lambda *told: seen.append(told[:2]), sleep=lambda seconds: None)
    assert not (phone / "flaky").exists()
    assert_every_round_once(seen)


def test_unplugged_device_is_one_line(phone, program):
    (phone / "unplugged").touch()
    with pytest.raises(
        UserError, match=r"^Cannot reach adb://phone \(unplugged\?\): device 'phone' not found\.$"
    ):
        remote(program).__enter__()
    (phone / "unplugged").unlink()
    with pytest.raises(UserError, match="device 'other' not found"):
        remote(program, "other").__enter__()


def test_device_unplugged_in_the_middle_keeps_what_is_measured(phone, program, tmp_path):
    journal = tmp_path / "phone.json.part"

    def report(done, total, note):
        if done == total:
            raise AssertionError("The device was not unplugged.")
        (phone / "flaky").touch()
        (phone / "unplugged").touch()

    with remote(program) as device:
        (phone / "flaky").touch()
        with pytest.raises(UserError, match=r"unplugged\?.*run the same command again to go on\.$"):
            campaign.run(DESIGN, device, journal=journal, report=report, sleep=lambda seconds: None)
    (phone / "unplugged").unlink()
    (phone / "flaky").unlink(missing_ok=True)
    with remote(program) as device:
        table = campaign.run(DESIGN, device, journal=journal)
    assert len(table.layers) == len(LAYERS)


def test_full_device_is_one_line_and_is_left_clean(phone, program):
    (phone / "full").touch()
    with pytest.raises(UserError, match=r"^adb://phone has no space left in /data/local/tmp/sparsenas-"):
        remote(program).__enter__()
    assert not list((phone / "tmp").iterdir())


@pytest.mark.skipif(
    shutil.which("qemu-aarch64") is None or platform.machine() != "x86_64",
    reason="needs qemu-aarch64 on an x86-64 machine (Debian: apt install qemu-user)",
)
def test_emulator_that_hides_is_found_out(phone, tmp_path):
    # As in a container for another processor: the system says it is one, and programs of one run.
    (phone / "uname").write_text("aarch64")
    hidden = tmp_path / "hidden"
    hidden.write_text(f'#!/bin/sh\nexec qemu-aarch64 {runner(["arm64"])} "$@"\n')
    with remote(hidden) as device:
        assert device.machine["isa"] == "neon"
        assert device.kind == "emulated"


def test_processor_without_kernels_is_refused(phone, program):
    (phone / "uname").write_text("armv7l")
    with pytest.raises(UserError, match=r"has a processor 'armv7l'; there are kernels for aarch64"):
        remote(program).__enter__()


def test_program_that_does_not_run_there_says_why(phone, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'sparsenas-run: not for this machine' >&2\nexit 1\n")
    with pytest.raises(UserError, match=r"^adb://phone cannot measure: sparsenas-run: not for this machine$"):
        remote(broken).__enter__()
    assert not list((phone / "tmp").iterdir())


def test_serial_number_that_is_none_is_refused(phone):
    with pytest.raises(UserError, match=r"is adb://SERIAL as `adb devices` lists it"):
        Adb("adb://a b; rm")


def test_adb_that_is_missing_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(Path(tmp_path) / "python"))
    with pytest.raises(UserError, match="needs the program adb: install"):
        Adb("adb://phone")
