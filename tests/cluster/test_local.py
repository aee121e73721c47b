"""A Ray of our own on this machine, in a process of its own: Ray reads its variables when it is imported."""

import json
import os
import subprocess
import sys

PROGRAM = """
import json, os, sys
from pathlib import Path
from sparsenas.cluster.join import joined
from sparsenas.cluster.settings import ClusterSettings

def below(root):
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                pass
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found

def listening(pids):
    inodes = set()
    for pid in pids:
        try:
            for fd in os.scandir(f"/proc/{pid}/fd"):
                inodes.add(os.readlink(fd.path).removeprefix("socket:[").rstrip("]"))
        except OSError:
            pass
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                yield fields[1].partition(":")[0]

with joined(ClusterSettings(workers=1), cache=Path(sys.argv[1])) as place:
    import ray
    import os as system

    @ray.remote(num_cpus=1)
    def variables():
        return {name: system.environ.get(name) for name in ("PJRT_NPROC", "JAX_PLATFORMS", "RAY_AUTH_MODE")}

    seen = ray.get(variables.remote())
    # Workers and agents are of the same session, if not all below us.
    addresses = sorted(set(listening(below(os.getpid()))))
    print(json.dumps({"variables": seen, "addresses": addresses, "workers": place.workers}))
"""


def test_local_ray_listens_on_loopback_only_and_has_a_token(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "cache"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # As /proc/net writes 127.0.0.1, and ::ffff:127.0.0.1 and ::1.
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert found["addresses"]
    assert set(found["addresses"]) <= loopback
    assert found["variables"] == {"PJRT_NPROC": "1", "JAX_PLATFORMS": "cpu", "RAY_AUTH_MODE": "token"}
    assert found["workers"] == 1
    (token,) = (tmp_path / "cache").iterdir()
    assert token.stat().st_mode & 0o777 == 0o600
    assert len(token.read_text()) == 64
