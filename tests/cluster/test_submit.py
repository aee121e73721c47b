"""`ray job submit` against a real head with a token."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

CLUSTERS = Path(__file__).parent.parent.parent / "experiments" / "clusters"
SHORT = [
    "--evaluate", "train", "--trials", "4", "--finalists", "1", "--candidate.steps", "20",
    "--network.steps", "20", "--measure.rounds", "3", "--measure.networks", "6",
]  # fmt: skip


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """Variables for whoever may use a real head."""
    tmp_path = tmp_path_factory.mktemp("head")
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("5" * 64)
    command = tmp_path / "bin" / "sparsenas"
    command.parent.mkdir()
    command.write_text(f'#!/bin/bash\nexec {sys.executable} -m sparsenas "$@"\n')
    command.chmod(0o755)
    (tmp_path / "bin" / "ray").write_text(f'#!/bin/bash\nexec {sys.executable} -m ray.scripts.scripts "$@"\n')
    (tmp_path / "bin" / "ray").chmod(0o755)
    dashboard = free_port()
    variables = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
    }
    start = ["ray", "start", "--head", "--block", "--num-cpus=2", "--include-dashboard=true"]
    start += [f"--port={free_port()}", f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1"]
    # Who takes jobs; where another Ray of this machine has its usual port, it does not start.
    start += [f"--dashboard-agent-listen-port={free_port()}"]
    # Short, as names of sockets may not be long.
    sessions = tempfile.mkdtemp(prefix="ray-")
    start += ["--node-ip-address=127.0.0.1", f"--temp-dir={sessions}"]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(start, env=variables, stdout=said, stderr=said, start_new_session=True)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", dashboard), 1).close()
                break
            assert process.poll() is None, (tmp_path / "said").read_text()
            time.sleep(0.2)
        yield variables
    finally:
        # Not `ray stop`: it would end every Ray of this machine. Nor SIGTERM, after which a head waits for
        # its work for half a minute.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(sessions, ignore_errors=True)


def test_submitted_search_finishes_and_a_second_start_goes_on(head, tmp_path):
    run = tmp_path / "run"
    submit = ["bash", CLUSTERS / "submit.sh", run, *SHORT]
    done = subprocess.run(submit, env=head, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((run / "summary.json").read_text())
    assert summary["trials"] == 4
    (run / "summary.json").unlink()
    done = subprocess.run(submit, env=head, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    again = json.loads((run / "summary.json").read_text())
    assert again["arch"] == summary["arch"]


def test_job_without_the_token_is_refused(head, tmp_path):
    (tmp_path / "other").write_text("6" * 64)
    (tmp_path / "other").chmod(0o600)
    variables = {**head, "RAY_AUTH_TOKEN_PATH": str(tmp_path / "other")}
    submit = ["ray", "job", "submit", "--", "true"]
    done = subprocess.run(submit, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "oken" in done.stdout + done.stderr
