"""Devices of a Ray cluster: a real one of two nodes on this machine."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from sparsenas import checkpoint
from sparsenas.backends import cluster
from sparsenas.backends.open import DeviceSettings, open_device
from sparsenas.candidates import Candidate, Trained
from sparsenas.cli.lookup import find_space
from sparsenas.errors import UserError
from sparsenas.finalists import check_device, measure_finalists
from sparsenas.latency import campaign
from sparsenas.latency.measure import MeasureSettings
from sparsenas.search_settings import SearchSettings
from sparsenas.supernet import supernet
from tests.backends.conftest import DESIGN, LAYERS

SPACE = find_space("tiny")

# Ray forks to start a program at once, which threads of JAX survive.
pytestmark = pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")


@pytest.fixture(scope="module")
def two_nodes():
    """A head without devices and a node that lends one."""
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    started.add_node(num_cpus=1, resources={"device:board": 1})
    ray.init(address=started.address, log_to_driver=False)
    yield started
    ray.shutdown()
    started.shutdown()


def fails(device):
    with pytest.raises(UserError) as raised:
        device.__enter__()
    return str(raised.value)


def test_layers_are_measured_on_the_node_that_has_the_device(two_nodes):
    with open_device("ray://board", DeviceSettings(busy=True)) as device:
        table = campaign.run(DESIGN, device)
        # One measurement at a time: the device is taken as long as this one holds it.
        assert ray.available_resources().get("device:board", 0) == 0
    assert table.device == "ray://board"
    assert [one.layer for one in table.layers] == list(LAYERS)
    assert table.how["cores"]


def test_second_measurement_waits_for_its_turn(two_nodes, monkeypatch):
    with open_device("ray://board", DeviceSettings(busy=True)):
        monkeypatch.setattr(cluster, "_SECONDS_TO_START", 1)
        second = open_device("ray://board", DeviceSettings(busy=True))
        assert fails(second) == "ray://board is in use: it was not free for 1 seconds."


def trained(arch):
    # Pruned ones would have to be trained.
    candidate = Candidate(arch=arch, dense=True)
    variables = supernet(candidate.space(SPACE)).init(np.random.default_rng(0))
    return Trained(candidate=candidate, arrays=checkpoint.to_arrays(variables), accuracy=0.5)


def worker_of_the_device():
    """The process that has the device, as Ray names it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if (entry / "cmdline").read_bytes().startswith(b"ray::_Worker"):
                    return int(entry.name)
    return None


def test_finalists_are_measured_there_also_when_the_device_is_lost_in_between(two_nodes):
    # Some seconds of an idle core.
    settings = SearchSettings(measure_on="ray://board", measure=MeasureSettings(rounds=2000))
    check_device(settings)
    killed = []

    def kill():
        until = time.monotonic() + 30
        while time.monotonic() < until and not killed:
            if (pid := worker_of_the_device()) is not None:
                time.sleep(1)
                # It may have been the one that only looked whether the device is there.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            time.sleep(0.1)

    data = SimpleNamespace(classes=tuple("0123456789"))
    table = SimpleNamespace(predict=lambda layers: float(len(layers)))
    killer = threading.Thread(target=kill)
    killer.start()
    finalists = [trained(SPACE.smallest), trained(SPACE.largest)]
    small, large = measure_finalists(settings, SPACE, data, table, finalists)
    killer.join()
    assert killed
    assert 0 < small.latency_ms < large.dense_latency_ms
    # It is free again.
    check_device(settings)


def test_finalists_without_their_device_are_refused_at_the_start(two_nodes):
    with pytest.raises(UserError, match=r"No node of the cluster has 'device:gone'"):
        check_device(SearchSettings(measure_on="ray://gone"))
    with pytest.raises(UserError, match="Expected a device like local, ssh://"):
        check_device(SearchSettings(measure_on="pixel6"))


def test_device_that_no_node_has_is_one_line(two_nodes):
    with pytest.raises(
        UserError, match=r"^No node of the cluster has 'device:other'; there are: device:board\.$"
    ):
        open_device("ray://other", DeviceSettings()).__enter__()


def test_what_is_wrong_there_is_said_here(two_nodes):
    said = fails(open_device("ray://board", DeviceSettings(core=4000)))
    assert said.startswith("ray://board: This process may not run on core 4000")


def test_name_that_is_none_is_refused():
    with pytest.raises(UserError, match="is ray://NAME, found 'ray://'"):
        open_device("ray://", DeviceSettings())
