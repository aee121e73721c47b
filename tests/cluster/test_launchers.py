"""Files of `experiments/clusters`: as much of each as can be checked without such a cluster."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import ray
import yaml

ROOT = Path(__file__).parent.parent.parent
CLUSTERS = ROOT / "experiments" / "clusters"


@pytest.mark.parametrize("name", ["search.sh", "submit.sh", "slurm.sh"])
def test_scripts_are_bash(name):
    done = subprocess.run(["bash", "-n", CLUSTERS / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def path_with(tmp_path, monkeypatch):
    """Puts commands first in the path that write down how they were called."""

    def put(name, code="exit 0"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> "{tmp_path}/calls"\n{code}\n')
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return put


def called(tmp_path):
    return (tmp_path / "calls").read_text().splitlines()


def test_search_starts_once_and_goes_on_then(tmp_path, path_with):
    path_with("sparsenas", f'mkdir -p "{tmp_path}/run" && touch "{tmp_path}/run/config.json"')
    for _ in range(2):
        command = ["bash", CLUSTERS / "search.sh", tmp_path / "run", "--evaluate", "train"]
        subprocess.run(command, check=True)
    assert called(tmp_path) == [
        f"sparsenas search --out {tmp_path}/run --evaluate train",
        f"sparsenas search --resume {tmp_path}/run --evaluate train",
    ]


def test_submitted_job_that_fails_is_submitted_again(tmp_path, path_with):
    path_with("sleep")
    path_with("ray", f'[ $(grep -c "^ray" "{tmp_path}/calls") -ge 3 ]')
    command = ["bash", CLUSTERS / "submit.sh", "/shared/run", "--trials", "9"]
    environment = {**os.environ, "RAY_API_SERVER_ADDRESS": "http://head:8265"}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    jobs = [line for line in called(tmp_path) if line.startswith("ray")]
    assert (
        jobs
        == [
            f"ray job submit --working-dir {CLUSTERS} -- bash search.sh /shared/run --trials 9",
        ]
        * 3
    )


def test_slurm_job_queues_itself_again_and_needs_a_token():
    text = (CLUSTERS / "slurm.sh").read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", text, re.MULTILINE))
    assert "requeue" in options
    assert options["signal"].startswith("B:USR1@")
    assert "trap 'scontrol requeue" in text
    assert "RAY_AUTH_MODE=token" in text
    assert "umask 077" in text


def test_ray_up_file_fits_rays_schema():
    config = yaml.safe_load((CLUSTERS / "machines.yaml").read_text())
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    assert set(schema["required"]) <= config.keys() <= schema["properties"].keys()
    assert config["max_workers"] == len(config["provider"]["worker_ips"])
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        (start,) = [line for line in config[commands] if "ray start" in line]
        assert "RAY_AUTH_MODE=token" in start


def test_ray_job_asks_for_tokens_and_starts_again():
    job = yaml.safe_load((CLUSTERS / "rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert spec["backoffLimit"] > 0
    assert spec["entrypoint"].startswith("bash /opt/sparsenas/search.sh /runs/")
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert len({group["template"]["spec"]["containers"][0]["image"] for group in groups}) == 1


def test_image_has_what_the_job_runs():
    text = (CLUSTERS / "Containerfile").read_text()
    assert "COPY search.sh /opt/sparsenas/search.sh" in text
    assert "ray[default]" in text
    assert (CLUSTERS / "search.sh").exists()


def test_options_in_the_document_exist(capsys):
    from sparsenas.__main__ import main

    with pytest.raises(SystemExit):
        main(["search", "--help"])
    offered = set(re.findall(r"--[\w.-]+", capsys.readouterr().out))
    text = (ROOT / "docs" / "clusters.md").read_text()
    table = text.partition("| option |")[2].partition("\n\n")[0]
    named = {name for name in re.findall(r"`(--[\w.-]+)", table) if not name.endswith(".")}
    assert len(named) > 8
    assert named <= offered
