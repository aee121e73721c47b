import pytest

from sparsenas.cluster.join import environment_of_workers
from sparsenas.cluster.settings import ClusterSettings, Resources, parse_resources
from sparsenas.errors import UserError


def test_resources_are_parsed():
    assert parse_resources("cpu=1,gpu=0.25") == Resources(1, 0.25)
    assert parse_resources("gpu=2") == Resources(1, 2)
    assert parse_resources("cpu=0, device:pixel6=1").needed == {"device:pixel6": 1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cpu", "NAME=AMOUNT, each name once, such as cpu=1,gpu=0.25; found 'cpu'"),
        ("cpu=1,cpu=2", "found 'cpu=2'"),
        ("cpu=-1", "found 'cpu=-1'"),
        ("gpu=1.5", "a part of one GPU or whole ones, found gpu=1.5"),
        ("cpu=0", "must occupy something"),
    ],
)
def test_bad_resources_are_one_line(text, says):
    with pytest.raises(UserError, match=says):
        ClusterSettings(resources_per_candidate=text)


@pytest.mark.parametrize("bad", [{"workers": -1}, {"deadline": 0.0}, {"attempts": 0}])
def test_bad_settings_are_one_line(bad):
    (name,) = bad
    with pytest.raises(UserError, match=f"`{name}` must be"):
        ClusterSettings(**bad)


def test_workers_compute_on_as_many_threads_as_cores():
    assert environment_of_workers(Resources(1))["PJRT_NPROC"] == "1"
    assert environment_of_workers(Resources(4))["PJRT_NPROC"] == "4"


def test_part_of_a_gpu_is_part_of_its_memory():
    shared = environment_of_workers(Resources(1, 0.25))
    assert float(shared["XLA_CLIENT_MEM_FRACTION"]) < 0.25
    assert "JAX_PLATFORMS" not in shared
    assert environment_of_workers(Resources(1))["JAX_PLATFORMS"] == "cpu"
