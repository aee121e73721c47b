"""Devices of a Ray cluster: a real one of two nodes on this machine."""

import pytest
import ray
from ray.cluster_utils import Cluster

from sparsenas.backends import cluster
from sparsenas.backends.open import DeviceSettings, open_device
from sparsenas.errors import UserError
from sparsenas.latency import campaign
from tests.backends.conftest import DESIGN, LAYERS

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
