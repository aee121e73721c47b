"""Devices over ssh: a real sshd on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparsenas import native
from sparsenas.backends.open import DeviceSettings, open_device
from sparsenas.backends.remote import Remote
from sparsenas.backends.ssh import Ssh
from sparsenas.errors import UserError
from sparsenas.export.network import random_network
from sparsenas.export.snas import to_bytes
from sparsenas.latency import campaign
from sparsenas.latency.devices import check_measured_here
from sparsenas.latency.table import load, save
from tests.backends.conftest import DESIGN, LAYERS, assert_every_round_once, runner

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
pytestmark = pytest.mark.skipif(
    not Path(SSHD).exists() or shutil.which("ssh") is None,
    reason="OpenSSH is not installed (Debian: apt install openssh-server openssh-client)",
)


class Server:
    """An sshd of our own, with a key that only this test has."""

    def __init__(self, folder):
        for name in ("host", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.space = folder / "space"
        self.space.mkdir()
        self._config = folder / "sshd_config"
        self._config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\n"
            f"AuthorizedKeysFile {folder / 'key.pub'}\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nPidFile none\nSetEnv TMPDIR={self.space}\n"
        )
        # The program `ssh` as people have it, with the settings that they would have in ~/.ssh/config.
        self.programs = folder / "bin"
        self.programs.mkdir()
        ssh = self.programs / "ssh"
        ssh.write_text(
            f"#!/bin/sh\nexec {shutil.which('ssh')} -F none -i {folder / 'key'} -o IdentitiesOnly=yes "
            f'-o UserKnownHostsFile={folder / "known"} -o StrictHostKeyChecking=no -o LogLevel=ERROR "$@"\n'
        )
        ssh.chmod(0o755)
        self.process = None

    @property
    def url(self):
        return f"ssh://127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(
            [SSHD, "-D", "-f", self._config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        pytest.fail("sshd does not listen.")

    def break_connections(self):
        """Ends the processes that serve a connection, as a lost network does."""
        for pid in _children(self.process.pid):
            os.kill(pid, signal.SIGKILL)

    def stop(self):
        self.break_connections()
        self.process.kill()
        self.process.wait()


def _children(pid):
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    # As root, sshd wants an empty folder that is root's.
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = Server(tmp_path_factory.mktemp("ssh"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def own_ssh(sshd, monkeypatch):
    monkeypatch.setenv("PATH", str(sshd.programs), prepend=os.pathsep)


def remote(sshd, program, **settings):
    return Remote(Ssh(sshd.url), program=program, busy=True, **settings)


def test_layers_are_measured_there_and_nothing_is_left(sshd, program, tmp_path):
    settings = DeviceSettings(program=program, busy=True)
    with open_device(sshd.url, settings) as device:
        assert list(sshd.space.iterdir())
        table = campaign.run(DESIGN, device)
    assert not list(sshd.space.iterdir())
    assert table.kind == "measured"
    assert table.device == sshd.url
    assert [one.layer for one in table.layers] == list(LAYERS)
    assert [one.kernel.split("_")[0] for one in table.layers] == ["conv1x1", "conv1x1", "multiply"]
    assert all(one.kernel.endswith(table.machine["isa"]) for one in table.layers)
    save(table, tmp_path / "there.json")
    assert load(tmp_path / "there.json").machine == table.machine


def test_a_model_is_packed_there_and_comes_back(sshd, program):
    model = to_bytes(random_network(DESIGN.networks[0].layers, seed=0))
    with remote(sshd, program) as device:
        packed = device.tune(model, threads=1)
        with pytest.raises(UserError, match="magic: expected"):
            device.tune(b"no model".ljust(64), threads=1)
    assert not list(sshd.space.iterdir())
    # The device is this machine.
    assert native.Model.from_bytes(packed).tuning == "tuned for this machine, 1 thread"
    assert native.Model.from_bytes(model).tuning == ""


def test_measurement_survives_a_broken_connection(sshd, program):
    seen = []

    def report(done, total, note):
        seen.append((done, total))
        if len(seen) == 2:
            sshd.break_connections()

    with remote(sshd, program) as device:
        table = campaign.run(DESIGN, device, report=report, sleep=lambda seconds: None)
    assert len(table.layers) == len(LAYERS)
    assert_every_round_once(seen)
    assert not list(sshd.space.iterdir())


def test_measurement_goes_on_when_the_device_is_back(sshd, program, tmp_path):
    journal = tmp_path / "there.json.part"

    def report(done, total, note):
        if done == 2 * total // DESIGN.rounds:
            sshd.stop()

    lost = pytest.raises(UserError, match=r"^Cannot reach ssh://.*run the same command again to go on\.$")
    with lost, remote(sshd, program) as device:
        campaign.run(DESIGN, device, journal=journal, report=report, sleep=lambda seconds: None)
    sshd.start()
    # What was there when the device was lost for good stays there.
    for left in sshd.space.iterdir():
        shutil.rmtree(left)
    seen = []
    with remote(sshd, program) as device:
        campaign.run(DESIGN, device, journal=journal, report=lambda *told: seen.append(told[:2]))
    done, total = seen[0]
    assert done > 2 * total // DESIGN.rounds


def test_host_that_is_not_there_is_one_line(program):
    with pytest.raises(UserError, match=r"^Cannot reach ssh://127.0.0.1:1: .*refused\.$"):
        Remote(Ssh("ssh://127.0.0.1:1"), program=program).__enter__()


@pytest.mark.parametrize(
    "url", ["ssh://", "ssh://-oProxyCommand=x", "ssh://a/b", "ssh://a:pass@b", "ssh://a:99999"]
)
def test_url_that_is_none_is_refused(url):
    with pytest.raises(UserError, match=r"is ssh://\[USER@\]HOST\[:PORT\]"):
        Ssh(url)


def test_device_without_space_is_one_line(sshd, program):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(sshd.space)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("A file system of 64 KB cannot be mounted here.")
    try:
        with pytest.raises(UserError, match=rf"^{sshd.url} has no space left in {sshd.space}/sparsenas-"):
            remote(sshd, program).__enter__()
        assert not list(sshd.space.iterdir())
    finally:
        subprocess.run(["umount", str(sshd.space)], check=True)


def test_busy_core_is_refused(sshd, program):
    core = max(os.sched_getaffinity(0))
    loop = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", loop]) as busy:
        try:
            with pytest.raises(UserError, match=f"^No free core on {sshd.url}: core {core} is busy"):
                Remote(Ssh(sshd.url), program=program, core=core).__enter__()
        finally:
            busy.kill()
    assert not list(sshd.space.iterdir())


def test_core_that_is_not_there_is_refused(sshd, program):
    with pytest.raises(UserError, match=r"has no core 4000; it has 0"):
        Remote(Ssh(sshd.url), program=program, core=4000).__enter__()


def test_emulated_times_are_never_taken_for_measured_ones(sshd, tmp_path):
    if shutil.which("qemu-aarch64") is None:
        pytest.skip("qemu-aarch64 is not installed (Debian: apt install qemu-user)")
    arm64 = runner(["arm64"])
    with Remote(Ssh(sshd.url), program=arm64, emulator="qemu-aarch64", busy=True) as device:
        table = campaign.run(DESIGN, device)
    save(table, tmp_path / "emulated.json")
    found = load(tmp_path / "emulated.json")
    assert found.kind == "emulated"
    assert all(one.kernel.endswith("neon") for one in found.layers)
    with pytest.raises(UserError, match="is emulated, but finalists are measured here"):
        check_measured_here(found)
